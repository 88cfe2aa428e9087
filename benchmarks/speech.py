"""How many words are wrong: by sound, lips and both, in quiet and noise?  ``python -m benchmarks.speech``.

Every clip goes through the media source, the face node and the transcribe node, chunk by chunk as it would
live; the words of the final transcripts are scored.  GRID: the validation clips (crc32 of the name, modulo
10, is 0), of the one real speaker the lips were learnt from.  Noise: stretches of the recordings in
``noise/``; babble: six RAVDESS actors at once; both at a signal-to-noise ratio over the spoken part.
Speakers never heard in training: FSDD's digits by one of its four speakers, with half a second of silence
before and one after, and the two synthetic voices kept out, where espeak-ng and festival are installed.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from engines.speech.recordings import fsdd_files, grid_clips, grid_split, read_align, read_digit, read_sound
from engines.speech.score import word_error_rate
from engines.speech.speakers import HELD_OUT_FESTIVAL, SPEAKERS, Shard
from nodes.perception.face import Face
from nodes.perception.transcribe import Transcribe
from nodes.runtime.errors import UserError
from nodes.runtime.messages import FRAME_NS, SAMPLE_RATE, Audio, Gap, Message, Transcript, Word
from nodes.runtime.node import Context
from nodes.sources.media import Media

DATA = Path(__file__).parents[2] / "shared" / "data"
HELD_OUT_FSDD = "jackson"  # as ``--hold-out`` of engines.speech.train
BLOCK = 320
TAIL_NS = 1_000_000_000
CONDITIONS: list[tuple[str, float | None]] = [
    ("clean", None),
    *((kind, snr) for kind in ("noise", "babble") for snr in (10.0, 0.0, -5.0)),
]

HEARD_BY = ("sound", "lips", "both")

Sound = NDArray[np.float32]


def faces_of(clip: Path) -> list[Message]:
    """What the face node makes of a clip's pictures."""
    media, face = Media(path=str(clip), speed=0), Face()
    media.open(Context(name="camera", live=False))
    face.open(Context(name="face", live=False))
    faces: list[Message] = []
    try:
        while not media.finished:
            pictures = [message for message in media.step([]) if message.port == "picture"]
            faces += face.step(pictures)
            if not pictures:
                time.sleep(0.001)
    finally:
        media.close()
        face.close()
    return faces


def sound_of(samples: Sound) -> list[Message]:
    """Blocks of 20 ms, then a second of nothing, as a file source sends."""
    block_ns = BLOCK * 1_000_000_000 // SAMPLE_RATE
    blocks: list[Message] = [
        Audio(
            stream="microphone",
            seq=i,
            epoch=0,
            t_start_ns=i * block_ns,
            t_end_ns=(i + 1) * block_ns,
            samples=samples[i * BLOCK : (i + 1) * BLOCK],
        )
        for i in range(len(samples) // BLOCK)
    ]
    return [*blocks, *nothing("audio", len(blocks) * block_ns, len(blocks) * block_ns + TAIL_NS, len(blocks))]


def nothing(of: str, start_ns: int, end_ns: int, seq: int = 0) -> list[Message]:
    return [
        Gap(
            stream="benchmark",
            seq=seq + i,
            epoch=0,
            t_start_ns=t,
            t_end_ns=min(t + FRAME_NS, end_ns),
            of=of,
            reason="not used here",
        )
        for i, t in enumerate(range(start_ns, end_ns, FRAME_NS))
    ]


def transcribe(messages: Sequence[Message], options: dict[str, str]) -> list[Word]:
    """Every word of every final."""
    node = Transcribe(weights=options["weights"], grammar=options["grammar"])
    node.open(Context(name="transcribe", live=False))
    told = node.step(sorted(messages, key=lambda message: message.t_end_ns))
    node.close()
    return [word for m in told if isinstance(m, Transcript) and m.final for word in m.words]


def mixed(samples: Sound, noise: Sound, spoken: tuple[float, float], snr_db: float) -> Sound:
    """``samples`` and ``noise`` of the same length, ``snr_db`` below the power of the ``spoken`` seconds."""
    first, last = (round(t * SAMPLE_RATE) for t in spoken)
    speech, power = np.mean(samples[first:last] ** 2), np.mean(noise**2)
    both = samples + noise * np.sqrt(speech / max(power, 1e-12) * 10 ** (-snr_db / 10))
    return (both / max(1.0, float(np.abs(both).max()))).astype(np.float32)


def stretch(sound: Sound, count: int, rng: np.random.Generator) -> Sound:
    """``count`` samples from a random place, going round where the recording is shorter."""
    return np.take(sound, rng.integers(len(sound)) + np.arange(count), mode="wrap")


def backgrounds() -> dict[str, Iterator[Sound]]:
    """For each kind endless long recordings, the same ones in every run."""
    noises = [read_sound(path) for path in sorted((DATA / "noise").glob("*.wav"))]
    actors = sorted((DATA / "ravdess").glob("*.opus"))

    def noise() -> Iterator[Sound]:
        rng = np.random.default_rng(1)
        while True:
            yield stretch(noises[rng.integers(len(noises))], 10 * SAMPLE_RATE, rng)

    def babble() -> Iterator[Sound]:
        rng = np.random.default_rng(2)
        while True:
            voices = [read_sound(actors[i]) for i in rng.choice(len(actors), 6, replace=False)]
            level = [v / (np.sqrt(np.mean(v**2)) + 1e-6) for v in voices]
            yield sum(stretch(v, 10 * SAMPLE_RATE, rng) for v in level)  # type: ignore[misc]

    return {"noise": noise(), "babble": babble()}


class Tally:
    """References and what was heard, by row and column of the table."""

    def __init__(self) -> None:
        self.cells: dict[tuple[str, str], dict[str, tuple[list[list[str]], list[list[str]]]]] = {}
        self.off_ms: dict[str, list[float]] = {"start": [], "end": []}

    def add(self, row: tuple[str, str], by: str, reference: Sequence[str], heard: Sequence[Word]) -> None:
        references, words = self.cells.setdefault(row, {}).setdefault(by, ([], []))
        references.append(list(reference))
        words.append([word.text for word in heard])

    def add_times(self, align: Sequence[tuple[str, float, float]], heard: Sequence[Word]) -> None:
        """Only of sentences understood without error, where it is clear which word is which."""
        if [text for text, _, _ in align] == [word.text for word in heard]:
            for (_, start, end), word in zip(align, heard, strict=True):
                self.off_ms["start"].append(word.t_start_ns / 1e6 - start * 1e3)
                self.off_ms["end"].append(word.t_end_ns / 1e6 - end * 1e3)

    def show(self, console: Console) -> None:
        table = Table("speaker", "condition", "clips", title="word error rate, % (95 % interval)")
        for by in HEARD_BY:
            table.add_column(by, justify="right", no_wrap=True)
        for row, cells in self.cells.items():
            rates = {by: word_error_rate(*pair) for by, pair in cells.items()}
            shown = [
                f"{r.percent:.1f} ({r.low:.1f}–{r.high:.1f})" if r else "" for r in map(rates.get, HEARD_BY)
            ]
            table.add_row(*row, str(max(rate.utterances for rate in rates.values())), *shown)
        console.print(table)
        for name, off in self.off_ms.items():
            if off:
                console.print(
                    f"word {name}s in quiet: median {np.median(off):+.0f} ms from the label, "
                    f"{np.percentile(np.abs(off), 90):.0f} ms off at the 90th percentile ({len(off)} words)"
                )


def run_grid(tally: Tally, count: int, options: dict[str, str]) -> None:
    clips = [clip for clip in grid_clips(DATA / "grid_s1") if grid_split(clip) == "validation"][:count]
    around = backgrounds()
    for clip in clips:
        align = read_align(clip.with_suffix(".align"))
        words = [text for text, _, _ in align]
        samples, faces = read_sound(clip), faces_of(clip)
        end_ns = max(message.t_end_ns for message in faces)
        nobody, silence = nothing("face", 0, end_ns), nothing("audio", 0, end_ns)
        tally.add(("GRID s1", "clean"), "lips", words, transcribe([*silence, *faces], options))
        for kind, snr in CONDITIONS:
            heard, label = samples, kind
            if snr is not None:
                noise = next(around[kind])[: len(samples)]
                heard, label = (
                    mixed(samples, noise, (align[0][1], align[-1][2]), snr),
                    f"{kind} {snr:+.0f} dB",
                )
            sound = sound_of(heard)
            tally.add(("GRID s1", label), "sound", words, transcribe([*sound, *nobody], options))
            both = transcribe([*sound, *faces], options)
            tally.add(("GRID s1", label), "both", words, both)
            if snr is None:
                tally.add_times(align, both)


def run_strangers(tally: Tally, count: int, options: dict[str, str]) -> list[str]:
    """Adds rows for speakers never heard in training; returns why a row is missing."""
    quiet = np.zeros(SAMPLE_RATE // 2, np.float32)

    def hear(speaker: str, words: Sequence[str], samples: Sound) -> None:
        sound = sound_of(np.concatenate([quiet, samples, quiet, quiet]).astype(np.float32))
        faces = nothing("face", 0, sound[-1].t_end_ns)
        tally.add((speaker, "clean"), "sound", words, transcribe([*sound, *faces], options))

    rng = np.random.default_rng(3)
    files = fsdd_files(DATA / "fsdd")[HELD_OUT_FSDD]
    for i in rng.choice(len(files), min(len(files), 4 * count), replace=False):
        digit = read_digit(files[i])
        hear(f"FSDD {HELD_OUT_FSDD}, real", [text for text, _, _ in digit.words], digit.samples)
    missing = []
    for kind, voice in (("espeak", ""), ("festival", HELD_OUT_FESTIVAL)):
        try:
            for said in SPEAKERS[kind](Shard(kind, 0, count, voice, heldout=True), rng):
                if not isinstance(said, str):
                    words = [text for text, _, _ in said.speech.words]
                    hear(f"{kind}, synthetic", words, said.speech.samples)
        except (UserError, OSError) as error:
            missing.append(f"{kind}: {error}")
    return missing


def main(
    clips: Annotated[int, typer.Option(help="GRID clips, sentences of each synthetic voice")] = 40,
    weights: Annotated[str, typer.Option(help="folder of the three engines")] = "",
    grammar: Annotated[str, typer.Option(help="file of the sentences that are possible")] = "",
) -> None:
    console, tally, options = Console(width=108), Tally(), {"weights": weights, "grammar": grammar}
    if not DATA.is_dir():
        raise SystemExit(f"{DATA}: not there; the recordings are not part of the repository")
    run_grid(tally, clips, options)
    missing = run_strangers(tally, clips, options)
    tally.show(console)
    for line in missing:
        console.print(f"not measured: {line}")


if __name__ == "__main__":
    typer.run(main)
