"""Sound to words of general English, by a public model in place of hearsee's own, or beside it."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from engines.engine import Opener, open_engine
from engines.speech.features import BANDS, LogMel
from engines.speech.transducer import Search
from engines.speech.zipformer import Zipformer, transducer_files
from engines.store import open_store
from engines.stream import Stream
from nodes.perception.segmenter import Segmenter
from nodes.perception.telling import Telling
from nodes.perception.transcribe import WEIGHTS
from nodes.perception.utterance import Frame, News, Utterances
from nodes.runtime.align import Aligner, Chunk
from nodes.runtime.errors import UserError
from nodes.runtime.messages import CHUNK_FRAMES, CHUNK_SAMPLES, Audio, Gap, Message, Voice
from nodes.runtime.node import Context

HEARD = {"audio": 1.0, "video": 0.0}
NOTHING = {"audio": 0.0, "video": 0.0}


class _Awaited(NamedTuple):
    """A frame whose sound has been given to the model and whose encoding has not come yet."""

    t_start_ns: int
    t_end_ns: int
    voice: float


class Dictate:
    """Hears ``audio``, gives ``transcript`` and ``voice``.

    model: a streaming Zipformer transducer: a name in ``launch.py models list``, or the folder of a release.
    beam: token sequences kept while decoding; 1 is greedy.
    onset, offset, hangover_ms: as ``transcribe`` has them; hearsee's own model says where there is voice.

    ``face`` is taken, so that it can stand where ``transcribe`` stood, and not looked at.  Transcripts keep
    the promises of ``nodes.perception.utterance``.  The model moves by 320 ms and looks 70 ms ahead, so a
    word comes 0.2 to 0.5 s after it was said, and a segment's final so much later than ``hangover_ms``.
    """

    inputs: ClassVar[tuple[str, ...]] = ("audio", "face")
    outputs: ClassVar[tuple[str, ...]] = ("transcript", "voice")
    opener: ClassVar[Opener] = open_engine  # what loads hearsee's own model

    def __init__(
        self,
        *,
        model: str = "zipformer-en-20m",
        beam: int = 4,
        onset: float = 0.5,
        offset: float = 0.35,
        hangover_ms: int = 600,
    ) -> None:
        if not 1 <= beam <= 16:
            raise UserError(f"beam {beam}: give a number of token sequences from 1 to 16")
        self._model, self._beam = model, beam
        self._turns = [Segmenter(onset, offset, hangover_ms=hangover_ms) for _ in range(2)]

    def open(self, context: Context) -> None:
        """Raises UserError for a model that has not been pulled or cannot be used."""
        self._zipformer = Zipformer(*transducer_files(_files(self._model)))
        shapes = {"features": (1, 4 * CHUNK_FRAMES, BANDS)}
        self._audio = Stream(WEIGHTS / "audio.onnx", shapes, opener=type(self).opener)
        self._mel = LogMel()
        # Words come late, so where they begin and end is found again for them; this one is for now.
        self._now, segmenter = self._turns
        self._utterances = Utterances(Search(self._zipformer, self._beam), segmenter)
        self._awaited: deque[_Awaited] = deque()
        self._name, self._epoch = context.name, context.epoch
        self._aligner = Aligner(replace(context, wired=frozenset({"audio"})))
        self._telling = Telling(context.name)
        self._voices = self._nothing = 0

    def step(self, messages: Sequence[Message]) -> list[Message]:
        sound = (m for m in messages if isinstance(m, Audio) or (isinstance(m, Gap) and m.of == Audio.port))
        self._aligner.push(sound)
        out: list[Message] = []
        while (chunk := self._aligner.pop()) is not None:
            out += self._hear(chunk)
        return out

    def flush(self) -> list[Message]:
        """What was heard of the segment that is open, for good."""
        self._aligner.end()
        return [*self.step([]), *self._cut()]

    def close(self) -> None:
        pass

    def _hear(self, chunk: Chunk) -> list[Message]:
        self._nothing = self._nothing + 1 if chunk.samples is None else 0
        out: list[Message] = []
        if chunk.epoch != self._epoch or chunk.audio_reset or self._nothing == 2:
            out += self._cut()
            self._epoch = chunk.epoch
        if chunk.samples is None:
            return [*out, self._voice(chunk, 0.0, "none")]
        voice = self._audio.run({"features": self._mel.push(chunk.samples)[None]})["voice"][0]
        ends = (*chunk.frames_ns[1:], chunk.t_end_ns)
        for start, end, probability in zip(chunk.frames_ns, ends, voice, strict=True):
            self._awaited.append(_Awaited(start, end, float(probability)))
            self._now.push(float(probability))
        out += self._tell(self._utterances.hear(self._frames(chunk.samples)))
        return [*out, self._voice(chunk, float(voice.mean()), "audio")]

    def _frames(self, samples: np.ndarray) -> list[Frame]:
        """The awaited frames whose encoding has come."""
        return [
            Frame(*self._awaited.popleft(), encoding, "a", 1.0)
            for encoding in self._zipformer.encode(samples)
            if self._awaited
        ]

    def _cut(self) -> list[Message]:
        """The stream ends here: the model is shown silence until it has said what it heard."""
        told: list[Message] = []
        while self._awaited:
            told += self._tell(self._utterances.hear(self._frames(np.zeros(CHUNK_SAMPLES, np.float32))))
        told += self._tell(self._utterances.flush())
        self._zipformer.reset()
        self._audio.reset()
        self._mel.reset()
        self._now.reset()
        return told

    def _tell(self, news: list[News]) -> list[Message]:
        return self._telling.tell(news, self._epoch, "audio", HEARD)

    def _voice(self, chunk: Chunk, probability: float, mode: str) -> Voice:
        self._voices += 1
        return Voice(
            stream=self._name,
            seq=self._voices - 1,
            epoch=self._epoch,
            t_start_ns=chunk.t_start_ns,
            t_end_ns=chunk.t_end_ns,
            speaking=self._now.speaking,
            probability=round(probability, 4),
            mode=mode,
            modalities=HEARD if mode == "audio" else NOTHING,
            sync_error_ms=None,
        )


def _files(model: str) -> list[Path]:
    """The files of a model in the store, their sums right, or those in a folder of the user's own."""
    store, folder = open_store(), Path(model)
    if model not in store.catalogue.models and folder.is_dir():
        return list(folder.iterdir())
    return list(store.find(model).values())
