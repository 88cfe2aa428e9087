"""What there is to publish of the messages that come: topic and body of each, every second the status."""

import time
from collections.abc import Iterator, Sequence

from nodes.outputs import bodies
from nodes.outputs.bodies import Common, Emission
from nodes.outputs.status import Status
from nodes.runtime.messages import Face, Message, Sentiment, Transcript, Voice
from nodes.runtime.node import Context

STATUS_NS = 1_000_000_000
# Faces are published at most this often: they are for drawing, lips are read from every picture.
FACE_NS = 100_000_000


class Bulletin:
    """unix_offset_ns: the wall clock less the host's, of a recording that is played; None for that of now."""

    def __init__(self, context: Context, unix_offset_ns: int | None = None) -> None:
        self._context = context
        self._unix_offset_ns = unix_offset_ns
        now_ns = context.now_ns()
        self._status = Status(context.name, context.epoch, now_ns)
        self._status_due_ns = now_ns
        self._seq: dict[tuple[str, str], int] = {}
        self._face_ns: dict[str, int] = {}

    def tell(self, messages: Sequence[Message]) -> Iterator[tuple[str, Common]]:
        for message in messages:
            now_ns = self._context.now_ns()
            self._status.hear(message, now_ns)
            if (made := self._made(message, now_ns)) is None:
                continue
            topic, body = made
            if self._unix_offset_ns is None:  # else it was captured long ago, or on another machine
                self._status.published(topic, message.captured_ns, body.t_emit_ns)
            yield topic, body
        now_ns = self._context.now_ns()
        due = now_ns >= self._status_due_ns
        if due:
            self._status_due_ns += STATUS_NS
            if self._status_due_ns <= now_ns:  # the process was asleep: no burst to catch up
                self._status_due_ns = now_ns + STATUS_NS
        if due or self._status.is_news:
            yield "status", self._status.body(self._emission("status", self._context.name, now_ns))

    def _made(self, message: Message, now_ns: int) -> tuple[str, Common] | None:
        if isinstance(message, Transcript):
            topic = "transcript.final" if message.final else "transcript.partial"
            return topic, bodies.transcript(message, self._emission(topic, message.stream, now_ns))
        if isinstance(message, Voice):
            return "voice", bodies.voice(message, self._emission("voice", message.stream, now_ns))
        if isinstance(message, Sentiment):
            return "sentiment", bodies.sentiment(message, self._emission("sentiment", message.stream, now_ns))
        if isinstance(message, Face) and self._face_is_due(message):
            emission = self._emission("face", message.stream, now_ns)
            return "face", bodies.face(message, self._status.reading_at(message.t_start_ns), emission)
        return None

    def _emission(self, topic: str, stream: str, now_ns: int) -> Emission:
        seq = self._seq.get((topic, stream), -1) + 1
        self._seq[topic, stream] = seq
        offset_ns = self._unix_offset_ns
        wall_ns = time.time_ns() if offset_ns is None or topic == "status" else now_ns + offset_ns
        return Emission(seq=seq, now_ns=now_ns, wall_ns=wall_ns)

    def _face_is_due(self, face: Face) -> bool:
        """Those of one picture all are, or none."""
        last = self._face_ns.get(face.stream)
        if last is not None and 0 < face.t_start_ns - last < FACE_NS:
            return False
        self._face_ns[face.stream] = face.t_start_ns
        return True
