"""Publishes what was understood, as JSON over ZeroMQ, for a program in any language (``docs/topics.md``)."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from nodes.outputs import bodies
from nodes.outputs.bodies import Common, Emission
from nodes.outputs.broadcast import Broadcast
from nodes.outputs.status import Status
from nodes.runtime.messages import Face, Message, Sentiment, Transcript, Voice
from nodes.runtime.node import Context

STATUS_NS = 1_000_000_000
# Faces are published at most this often: they are for drawing, lips are read from every picture.
FACE_NS = 100_000_000


class Publish:
    """address: where to bind, a ZeroMQ endpoint.  keys: folder of CURVE keys, for other machines to connect.

    Publishes ``status`` once a second from ``open`` to ``close``, whatever arrives or does not.
    """

    inputs: ClassVar[tuple[str, ...]] = ("transcript", "voice", "face", "sentiment", "health")
    outputs: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, address: str = "tcp://127.0.0.1:5556", keys: str = "") -> None:
        self.address = address
        self._keys = Path(keys) if keys else None

    def open(self, context: Context) -> None:
        self._context = context
        self._broadcast = Broadcast(self.address, self._keys)
        self.address = self._broadcast.address
        now_ns = context.now_ns()
        self._status = Status(context.name, context.epoch, now_ns)
        self._status_due_ns = now_ns
        self._seq: dict[tuple[str, str], int] = {}
        self._face_ns: dict[str, int] = {}

    def step(self, messages: Sequence[Message]) -> list[Message]:
        self._broadcast.welcome()
        for message in messages:
            now_ns = self._context.now_ns()
            self._status.hear(message, now_ns)
            if isinstance(message, Transcript):
                topic = "transcript.final" if message.final else "transcript.partial"
                self._send(topic, bodies.transcript(message, self._emission(topic, message.stream, now_ns)))
            elif isinstance(message, Voice):
                self._send("voice", bodies.voice(message, self._emission("voice", message.stream, now_ns)))
            elif isinstance(message, Sentiment):
                emission = self._emission("sentiment", message.stream, now_ns)
                self._send("sentiment", bodies.sentiment(message, emission))
            elif isinstance(message, Face) and self._face_is_due(message):
                emission = self._emission("face", message.stream, now_ns)
                self._send("face", bodies.face(message, self._status.reading(now_ns), emission))
        now_ns = self._context.now_ns()
        if now_ns >= self._status_due_ns:
            self._status_due_ns += STATUS_NS
            if self._status_due_ns <= now_ns:  # the process was asleep: no burst to catch up
                self._status_due_ns = now_ns + STATUS_NS
            self._broadcast.send(
                "status", self._status.body(self._emission("status", self._context.name, now_ns))
            )
        return []

    def close(self) -> None:
        self._broadcast.close()

    def _send(self, topic: str, body: Common) -> None:
        self._broadcast.send(topic, body)
        self._status.published(topic, body.t_end_ns, body.t_emit_ns)

    def _emission(self, topic: str, stream: str, now_ns: int) -> Emission:
        seq = self._seq.get((topic, stream), -1) + 1
        self._seq[topic, stream] = seq
        return Emission(seq=seq, now_ns=now_ns, wall_ns=time.time_ns())

    def _face_is_due(self, face: Face) -> bool:
        """Those of one picture all are, or none."""
        last = self._face_ns.get(face.stream)
        if last is not None and 0 < face.t_start_ns - last < FACE_NS:
            return False
        self._face_ns[face.stream] = face.t_start_ns
        return True
