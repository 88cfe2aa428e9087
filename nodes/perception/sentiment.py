"""Faces, a voice and its words to how each person means it: ``sentiment``, about three times a second."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import engines.sentiment
from engines.engine import ModelError
from engines.sentiment.emotieff import EmotiEff
from engines.sentiment.emotions import EMOTIONS
from engines.store import open_store
from nodes.perception.conversation import Conversation
from nodes.perception.experts import MODALITIES, Experts, Fused
from nodes.perception.people import People
from nodes.perception.person import Person
from nodes.runtime import messages
from nodes.runtime.align import Aligner, Chunk
from nodes.runtime.errors import UserError
from nodes.runtime.facetrack import FaceId, identity
from nodes.runtime.messages import CHUNK_NS, Face, Message, Transcript, Voice
from nodes.runtime.node import Context

WEIGHTS = Path(engines.sentiment.__file__).parent / "weights"
EVERY = 2  # chunks from one answer to the next
FACES = 4  # at most so many are looked at, the most prominent first


class Sentiment:
    """Hears ``audio``, ``face``, ``voice`` and ``transcript``, gives ``sentiment``.

    weights: folder of face.onnx, voice.onnx, words.onnx and fusion.onnx; "" for those that come with hearsee.
    expression: what looks at faces: "" for the model in ``weights``; "emotieff-b0", once pulled, or a path of
    its file.  It was made for large faces in colour: set ``portrait: true`` at the node that finds them.
    wait_ms: how long the sound waits for a late picture.

    Who is seen has a state for each tracked face; what is said belongs to the face that ``voice`` says is
    speaking, or to somebody unseen, whose state goes on with the face that turns out to be theirs.  Somebody
    of whom there is no evidence left, of any kind, is silent: no message.
    """

    inputs: ClassVar[tuple[str, ...]] = ("audio", "face", "voice", "transcript")
    outputs: ClassVar[tuple[str, ...]] = ("sentiment",)

    def __init__(self, *, weights: str = "", expression: str = "", wait_ms: int = 80) -> None:
        if not 0 <= wait_ms <= 1000:
            raise UserError(f"wait_ms {wait_ms}: give milliseconds from 0 to 1000")
        self._folder = Path(weights) if weights else WEIGHTS
        self._expression = expression
        self._wait_ms = wait_ms

    def open(self, context: Context) -> None:
        """Raises UserError for a model that is missing or cannot be used."""
        try:
            self._experts = Experts(self._folder, _public(self._expression))
        except ModelError as error:
            raise UserError(str(error)) from error
        self._name = context.name
        self._aligner = Aligner(context, wait_ms=self._wait_ms)
        self._people = People()
        self._conversation = Conversation(self._experts)
        self._chunks = self._sent = 0

    def step(self, messages: Sequence[Message]) -> list[Message]:
        self._aligner.push(messages)
        for message in messages:
            if isinstance(message, Voice):
                self._conversation.voice = message
            elif isinstance(message, Transcript):
                self._conversation.say(message)
        out: list[Message] = []
        while (chunk := self._aligner.pop()) is not None:
            out += self._take(chunk)
        return out

    def close(self) -> None:
        pass

    def _take(self, chunk: Chunk) -> list[Message]:
        faces = [_latest(chunk.faces), *(_latest(other) for other in chunk.others)]
        seen = {identity(face): face for face in faces[:FACES] if face is not None}
        speaker = self._people.speaker(self._conversation.voice, list(seen), chunk.t_end_ns)
        if self._people.speaker_changed:
            self._conversation.forget()
        self._conversation.hear(chunk, self._people.of(speaker, chunk.t_end_ns))
        self._chunks += 1
        if self._chunks % EVERY:
            return []
        for which, face in seen.items():
            person = self._people.of(which, chunk.t_end_ns)
            held = person.latest("face")
            said = self._experts.see(face)
            person.learn("face", held.towards(said, 0.5) if held else said, _trust(face), chunk.t_end_ns)
        self._conversation.read(self._people.of(speaker, chunk.t_end_ns), chunk.t_end_ns)
        told: list[Message] = []
        for whom, person in self._people.known():
            if whom != speaker and whom not in seen:
                continue
            fused = person.answer(self._experts, chunk.t_end_ns)
            if fused is not None:
                told.append(self._tell(chunk, whom, person, fused))
        self._people.forget(chunk.t_end_ns)
        return told

    def _tell(self, chunk: Chunk, which: FaceId | None, person: Person, fused: Fused) -> Message:
        assert person.emotions is not None
        assert person.affect is not None
        self._sent += 1
        return messages.Sentiment(
            stream=self._name,
            seq=self._sent - 1,
            epoch=chunk.epoch,
            t_start_ns=chunk.t_end_ns - EVERY * CHUNK_NS,
            t_end_ns=chunk.t_end_ns,
            face=which[2] if which is not None else None,
            emotion=person.emotion,
            emotions={name: round(float(p), 4) for name, p in zip(EMOTIONS, person.emotions, strict=True)},
            valence=round(float(person.affect[0]), 4),
            arousal=round(float(person.affect[1]), 4),
            confidence={name: round(value, 4) for name, value in person.confidence().items()},
            modalities={name: round(fused.reliability[name], 4) for name in MODALITIES},
        )


def _public(expression: str) -> EmotiEff | None:
    """The public expert by its name in the catalogue, its sum right, or by the path of a file."""
    if not expression:
        return None
    store, path = open_store(), Path(expression)
    if expression in store.catalogue.models or not path.is_file():
        [path] = store.find(expression).values()
    return EmotiEff(path)


def _latest(faces: Sequence[Face | None]) -> Face | None:
    return next((face for face in reversed(faces) if face is not None), None)


def _trust(face: Face) -> float:
    """An expression shows where lips could not be read, so poor quality costs half at most."""
    return 0.5 + 0.5 * face.quality
