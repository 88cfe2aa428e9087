"""Sound and lips to words: partial and final transcripts, and for every chunk whether somebody speaks."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import engines.speech
from engines.engine import ModelError, Opener, open_engine
from engines.serve import Server
from engines.speech.decode import make_decoder
from engines.speech.grammar import load_grammar
from nodes.perception.recogniser import Heard, Recogniser
from nodes.perception.segmenter import Segmenter
from nodes.perception.speaker import Speakers
from nodes.perception.telling import Telling
from nodes.perception.utterance import Frame, News, Utterances
from nodes.runtime.align import Aligner, Chunk
from nodes.runtime.errors import UserError
from nodes.runtime.facetrack import FaceId, identity
from nodes.runtime.messages import Message, Voice
from nodes.runtime.node import Context

WEIGHTS = Path(engines.speech.__file__).parent / "weights"


class Transcribe:
    """Hears ``audio`` and ``face``, gives ``transcript`` and ``voice``.

    weights: folder of audio.onnx, video.onnx and fusion.onnx; "" for those that come with hearsee.
    grammar: file of the sentences that are possible (see ``engines.speech.grammar``); "" for any words.
    beam: word sequences kept while decoding; 1 is greedy.
    wait_ms: how long the sound waits for a late picture.
    onset, offset: voice probability that begins speech, and below which it is ending.
    hangover_ms: a pause this long ends a segment.
    backend, precision: what computes and how, see ``engines.serve.Server``; "auto" is the fastest there is.

    A ``Voice`` comes for every chunk, also with mode "none".  Transcripts keep the promises of
    ``nodes.perception.utterance``; a segment's final comes ``hangover_ms`` and at most two chunks after its
    speech has ended, or at once where the timeline is cut: with a new epoch, and when more than one chunk in
    a row has neither sound nor lips, and when the run is stopped in the middle of it.

    Which head speaks may change with any chunk, also within a segment: one decoder goes on, fed by whichever
    head it is, so every word says what had a say in it: ``heard_by`` is "a" also where a face is in view and
    its lips had none.  How far lips are to be believed is known better a second later, so a final may differ
    from the last partial (see ``nodes.perception.hindsight``).  Of several faces the one whose lips go with
    the sound is read (see ``nodes.perception.speaker``).
    """

    inputs: ClassVar[tuple[str, ...]] = ("audio", "face")
    outputs: ClassVar[tuple[str, ...]] = ("transcript", "voice")
    abreast: ClassVar[bool] = True
    opener: ClassVar[Opener] = open_engine  # what loads its models

    def __init__(
        self,
        *,
        weights: str = "",
        grammar: str = "",
        beam: int = 8,
        wait_ms: int = 80,
        onset: float = 0.5,
        offset: float = 0.35,
        hangover_ms: int = 400,
        backend: str = "auto",
        precision: str = "auto",
    ) -> None:
        if not 1 <= beam <= 64:
            raise UserError(f"beam {beam}: give a number of word sequences from 1 to 64")
        if not 0 <= wait_ms <= 1000:
            raise UserError(f"wait_ms {wait_ms}: give milliseconds from 0 to 1000")
        self._folder = Path(weights) if weights else WEIGHTS
        self._grammar = grammar
        self._beam = beam
        self._wait_ms = wait_ms
        self._segmenter = Segmenter(onset, offset, hangover_ms=hangover_ms)
        self._backend = backend
        self._precision = precision

    def open(self, context: Context) -> None:
        """Raises UserError for a model or a grammar that cannot be used."""
        try:
            self._engines = Server(self._backend, self._precision, type(self).opener, context.abreast)
            self._recogniser = Recogniser(self._folder, self._engines)
        except ModelError as error:
            raise UserError(str(error)) from error
        tokens = self._recogniser.tokens
        grammar = load_grammar(Path(self._grammar), tokens[1:]) if self._grammar else None
        decoder = make_decoder(tokens, beam=self._beam, grammar=grammar)
        self._name = context.name
        self._aligner = Aligner(context, wait_ms=self._wait_ms)
        self._utterances = Utterances(decoder, self._segmenter)
        self._speakers = Speakers(self._segmenter.onset)
        self._read: FaceId | None = None
        self._epoch = context.epoch
        self._nothing = 0
        self._telling = Telling(context.name)
        self._voices = 0
        self._last = ("none", {"audio": 0.0, "video": 0.0})

    def step(self, messages: Sequence[Message]) -> list[Message]:
        self._aligner.push(messages)
        out: list[Message] = []
        while (chunk := self._aligner.pop()) is not None:
            out += self._hear(chunk)
        return out

    def flush(self) -> list[Message]:
        """What was heard of the segment that is open, for good."""
        self._aligner.end()
        return [*self.step([]), *self._tell(self._utterances.flush())]

    def close(self) -> None:
        self._engines.close()

    @property
    def engines(self) -> dict[str, str]:
        """What computes each model now, and what is to come, for ``status``."""
        return self._engines.report

    @property
    def late(self) -> dict[str, int]:
        """By input, what came when its chunk had gone out without it, for ``status``."""
        return {port: rules["late"] for port, rules in self._aligner.dropped.items() if rules["late"]}

    def _hear(self, chunk: Chunk) -> list[Message]:
        out: list[Message] = []
        if chunk.epoch != self._epoch:
            out += self._tell(self._utterances.flush())
            self._epoch = chunk.epoch
        heard = self._recogniser.hear(chunk)
        self._speakers.push(heard.sound, heard.lips, anew=bool(chunk.audio_reset))
        seen = next((identity(face) for face in chunk.faces if face is not None), None)
        self._read = seen if heard.mode in ("av", "video") else None
        self._nothing = self._nothing + 1 if heard.mode == "none" else 0
        if self._nothing > 1:
            out += self._tell(self._utterances.flush())
            news = []
        else:
            news = self._utterances.hear(_frames(chunk, heard))
        self._last = (heard.mode, heard.modalities)
        out += [*self._tell(news), self._voice(chunk, heard)]
        if chunk.others and seen is not None and (better := self._speakers.choose(seen)) != seen:
            self._aligner.read(better)
        return out

    def _tell(self, news: list[News]) -> list[Message]:
        mode, modalities = self._last
        error_ms = self._speakers.error_ms(self._read)
        return self._telling.tell(news, self._epoch, mode, modalities, error_ms, _track(self._read))

    def _voice(self, chunk: Chunk, heard: Heard) -> Voice:
        self._voices += 1
        return Voice(
            stream=self._name,
            seq=self._voices - 1,
            epoch=self._epoch,
            t_start_ns=chunk.t_start_ns,
            t_end_ns=chunk.t_end_ns,
            speaking=self._utterances.speaking,
            probability=round(float(heard.voice.mean()), 4),
            mode=heard.mode,
            modalities=heard.modalities,
            sync_error_ms=self._speakers.error_ms(self._read),
            face=_track(self._read),
            faces={
                face[2]: speaks for face, speaks in self._speakers.speaking(self._utterances.speaking).items()
            },
        )


def _track(face: FaceId | None) -> int | None:
    return face[2] if face is not None else None


def _frames(chunk: Chunk, heard: Heard) -> list[Frame]:
    ends = (*chunk.frames_ns[1:], chunk.t_end_ns)
    return [
        Frame(
            start,
            end,
            float(heard.voice[i]),
            heard.log_probs[i] if heard.log_probs is not None else None,
            heard.heard_by[i],
            heard.temperature,
            heard.choices[i] if heard.choices else None,
        )
        for i, (start, end) in enumerate(zip(chunk.frames_ns, ends, strict=True))
    ]
