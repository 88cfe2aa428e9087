"""What the three engines say of recordings with known emotions: the material that fusion is learnt from.

No data set with all three is at hand.  So faces are FER2013's, voices RAVDESS's and words MELD's, each
answered by its engine as live, and ``trios`` puts together one of each with the same label: they were not
recorded together, and nothing here tells how a person's face, voice and words go together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engines.engine import Arrays
from engines.sentiment.face.augment import distort
from engines.sentiment.face.measure import half_dark
from engines.sentiment.face.pictures import Pictures, enlarged, load_pictures
from engines.sentiment.face.pictures import split as split_pictures
from engines.sentiment.voice.conditions import Bench, open_bench, whole, with_noise
from engines.sentiment.voice.recordings import KEPT_FOLD, fold_actors, load_recordings
from engines.sentiment.words.batches import Degrade
from engines.sentiment.words.corpora import Sentence, meld
from engines.sentiment.words.corpora import split as split_sentences
from engines.sentiment.words.measure import MISHEARD, conditions, read
from engines.sentiment.words.reader import Reader
from engines.speech.features import BANDS, LogMel
from engines.stream import Stream
from nodes.runtime.messages import CHUNK_FRAMES, CHUNK_SAMPLES, FACE_SIZE

NOISE_DB = 5.0
DARK = 0.1  # of its light that half of a half-dark face keeps
TESTED_ACTORS = 3  # the last of those that the voice expert never heard; the others are learnt from
SPARE = 2
TRAINED = 3000  # at most so many of what an expert itself was trained on


@dataclass(frozen=True)
class Answers:
    """logits: float32 [n, 7], calibrated; embedding: [n, 64]; affect: [n, 2]; labels: int64 [n]."""

    logits: NDArray[np.float32]
    embedding: NDArray[np.float32]
    affect: NDArray[np.float32]
    labels: NDArray[np.int64]

    def every(self, first: int, step: int) -> "Answers":
        """Of the recordings ``first``, ``first + step`` and so on."""
        rows = slice(first, None, step)
        return Answers(self.logits[rows], self.embedding[rows], self.affect[rows], self.labels[rows])

    def save(self, path: Path) -> None:
        np.savez(path, **vars(self))

    @staticmethod
    def load(path: Path) -> "Answers":
        with np.load(path, allow_pickle=False) as file:
            return Answers(**file)


Ask = Callable[[], Answers]
# By modality: the sets learnt from, the first SPARE of what the expert does not know, clean and worse; and
# the sets measured on, clean and in a condition by its name.
Learnt = dict[str, list[Answers]]
Measured = dict[str, dict[str, Answers]]


def _stacked(rows: Sequence[Arrays], temperature: float, labels: Sequence[int]) -> Answers:
    def of(name: str) -> NDArray[np.float32]:
        return np.concatenate([row[name] for row in rows])

    logits = of("logits") / np.float32(temperature)
    return Answers(logits, of("embedding"), of("affect"), np.array(labels, np.int64))


def of_faces(engine: Stream, faces: NDArray[np.uint8], labels: Sequence[int]) -> Answers:
    """faces: uint8 [n, 64, 64]."""
    return _stacked([engine.run({"face": face[None]}) for face in faces], engine.temperature, labels)


def of_voices(
    engine: Stream, bench: Bench, labels: NDArray[np.int64], snr_db: float | None = None
) -> Answers:
    """At the end of each recording of ``bench``; snr_db: with noise that the voice expert never heard."""
    rows = []
    for chosen in torch.arange(len(labels)).split(25):
        sounds, chunks = whole(bench, chosen)
        if snr_db is not None:
            sounds = with_noise(bench, sounds, snr_db)
        for sound, count in zip(sounds.numpy(), chunks.tolist(), strict=True):
            rows.append(_last(engine, sound[: count * CHUNK_SAMPLES]))
    return _stacked(rows, engine.temperature, labels.tolist())


def _last(engine: Stream, sound: NDArray[np.float32]) -> Arrays:
    engine.reset()
    mel, outputs = LogMel(), {}
    for chunk in sound.reshape(-1, CHUNK_SAMPLES):
        outputs = engine.run({"features": mel.push(chunk)[None]})
    return outputs


def of_words(reader: Reader, sentences: Sequence[Sentence]) -> Answers:
    outputs = read(reader, sentences)
    return Answers(
        (outputs["logits"] / reader.temperature).astype(np.float32),
        outputs["embedding"],
        outputs["affect"],
        np.array([sentence.emotion for sentence in sentences], np.int64),
    )


def collect(weights: Path, data: Path, work: Path, limit: int | None = None) -> tuple[Learnt, Measured]:
    """The engines in ``weights`` asked about all sets; answers are kept in ``work`` for the next time.

    limit: items of each set, for a rehearsal.  Raises UserError where a set or an engine is missing.
    """
    asked = {name: ask(name, weights, data, work, limit) for name in ASK}
    learnt = {name: [answer() for answer in sets] for name, (sets, _) in asked.items()}
    measured = {name: {key: answer() for key, answer in of.items()} for name, (_, of) in asked.items()}
    return learnt, measured


def measured_of(
    modality: str, weights: Path, data: Path, work: Path, limit: int | None = None
) -> dict[str, Answers]:
    """What one engine says of the sets it is measured on, as ``collect``."""
    _, sets = ask(modality, weights, data, work, limit)
    return {name: answer() for name, answer in sets.items()}


def ask(
    modality: str, weights: Path, data: Path, work: Path, limit: int | None
) -> tuple[list[Ask], dict[str, Ask]]:
    work = work / (str(limit) if limit else "all")
    work.mkdir(parents=True, exist_ok=True)
    return ASK[modality](weights, data, _Kept(work, weights / f"{modality}.onnx"), limit)


class _Kept:
    """Answers by name, in files that are older than no model."""

    def __init__(self, folder: Path, model: Path) -> None:
        self._folder, self._model = folder, model

    def __call__(self, name: str, ask: Ask) -> Ask:
        path = self._folder / f"{self._model.stem}-{name}.npz"

        def answer() -> Answers:
            if not path.exists() or path.stat().st_mtime < self._model.stat().st_mtime:
                ask().save(path)
            return Answers.load(path)

        return answer


def _ask_face(weights: Path, data: Path, kept: _Kept, limit: int | None) -> tuple[list[Ask], dict[str, Ask]]:
    engine = Stream(weights / "face.onnx", {"face": (1, FACE_SIZE, FACE_SIZE)}, {"face"})
    trained, spare = split_pictures(load_pictures(data, "Training", limit and 20 * limit))
    tested = load_pictures(data, "PublicTest", limit)
    trained, spare = _few(trained, limit or TRAINED), _few(spare, limit)

    def dark(pictures: Pictures) -> NDArray[np.uint8]:
        return half_dark(torch.from_numpy(enlarged(pictures.images, FACE_SIZE)), DARK).numpy()

    def spoilt() -> NDArray[np.uint8]:
        generator = torch.Generator().manual_seed(5)
        faces = distort(torch.from_numpy(trained.images), generator)
        return faces.round().clamp(0, 255).to(torch.uint8).numpy()

    plain = enlarged(spare.images, FACE_SIZE)
    learnt = [
        kept("spare", lambda: of_faces(engine, plain, spare.labels.tolist())),
        kept("spare-dark", lambda: of_faces(engine, dark(spare), spare.labels.tolist())),
        kept("trained", lambda: of_faces(engine, spoilt(), trained.labels.tolist())),
    ]
    clear = enlarged(tested.images, FACE_SIZE)
    return learnt, {
        "clean": kept("tested", lambda: of_faces(engine, clear, tested.labels.tolist())),
        "half dark": kept("tested-dark", lambda: of_faces(engine, dark(tested), tested.labels.tolist())),
    }


def _few(pictures: Pictures, limit: int | None) -> Pictures:
    return pictures.only(np.arange(len(pictures.labels)) < (limit or len(pictures.labels)))


def _ask_voice(weights: Path, data: Path, kept: _Kept, limit: int | None) -> tuple[list[Ask], dict[str, Ask]]:
    engine = Stream(weights / "voice.onnx", {"features": (1, 4 * CHUNK_FRAMES, BANDS)})
    recordings = load_recordings(data, limit=4 if limit else None)
    unheard = fold_actors(recordings.actors, KEPT_FOLD)
    actors = sorted({int(actor) for actor in recordings.actors})
    tested = unheard[-TESTED_ACTORS:] if not limit else unheard
    spare = tuple(actor for actor in unheard if actor not in tested) or unheard
    trained = tuple(actor for actor in actors if actor not in unheard)

    def asking(actors: tuple[int, ...], snr_db: float | None) -> Ask:
        def answer() -> Answers:
            chosen = recordings.of(actors)
            return of_voices(
                engine, open_bench(chosen, data, 3, torch.device("cpu")), chosen.emotions, snr_db
            )

        return answer

    learnt = [
        kept("spare", asking(spare, None)),
        kept("spare-noise", asking(spare, NOISE_DB)),
        kept("trained", asking(trained, NOISE_DB)),
    ]
    return learnt, {
        "clean": kept("tested", asking(tested, None)),
        "noise at 5 dB": kept("tested-noise", asking(tested, NOISE_DB)),
    }


def _ask_words(weights: Path, data: Path, kept: _Kept, limit: int | None) -> tuple[list[Ask], dict[str, Ask]]:
    reader = Reader(weights / "words.onnx")
    trained, spare = split_sentences(meld(data, "train"))
    trained, spare, tested = trained[: limit or TRAINED], spare[:limit], meld(data, "dev")[:limit]
    degrade = Degrade(trained, seed=5)
    told = conditions(tested)
    learnt = [
        kept("spare", lambda: of_words(reader, spare)),
        kept("spare-wrong", lambda: of_words(reader, [degrade(s) for s in spare])),
        kept("trained", lambda: of_words(reader, [degrade.wrong(s, MISHEARD) for s in trained])),
    ]
    named = {
        "as written": "tested",
        "without marks": "tested-bare",
        "a third of the words wrong": "tested-wrong",
    }

    def asking(name: str) -> Ask:
        return lambda: of_words(reader, told[name])

    answers = {name: kept(file, asking(name)) for name, file in named.items()}
    return learnt, {
        "clean": answers["as written"],
        "no marks": answers["without marks"],
        "a third wrong": answers["a third of the words wrong"],
    }


ASK = {"face": _ask_face, "voice": _ask_voice, "words": _ask_words}
