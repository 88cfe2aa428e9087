"""Publishes what was understood, as JSON over ZeroMQ, for a program in any language (``docs/topics.md``)."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from nodes.outputs.address import USUAL
from nodes.outputs.broadcast import Broadcast
from nodes.outputs.bulletin import Bulletin
from nodes.runtime.messages import Message
from nodes.runtime.node import Context

if TYPE_CHECKING:
    from nodes.outputs.exporter import Exporter


class Publish:
    """address: where to bind, a ZeroMQ endpoint.  keys: folder of CURVE keys, for other machines to connect.
    metrics: where Prometheus finds its figures (docs/metrics.md), such as "127.0.0.1:9464"; "" for nowhere.

    unix_offset_ns: as ``python launch.py replay`` sets it; see ``Bulletin``.
    Publishes ``status`` once a second from ``open`` to ``close``, whatever arrives or does not.
    """

    inputs: ClassVar[tuple[str, ...]] = ("transcript", "voice", "face", "sentiment", "health")
    outputs: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        *,
        address: str = USUAL,
        keys: str = "",
        metrics: str = "",
        unix_offset_ns: int | None = None,
    ) -> None:
        self.address = address
        self.metrics = metrics
        self._metrics: Exporter | None = None
        self._keys = Path(keys) if keys else None
        self._unix_offset_ns = unix_offset_ns

    def open(self, context: Context) -> None:
        self._broadcast = Broadcast(self.address, self._keys)
        self.address = self._broadcast.address
        if self.metrics:
            from nodes.outputs.exporter import Exporter  # a tenth of a second that few need

            self._metrics = Exporter(self.metrics, context.now_ns)
            self.metrics = self._metrics.address
        self._bulletin = Bulletin(context, self._unix_offset_ns)

    def step(self, messages: Sequence[Message]) -> list[Message]:
        self._broadcast.welcome()
        for topic, body in self._bulletin.tell(messages):
            self._broadcast.send(topic, body)
            if self._metrics:
                self._metrics.take(topic, body)
        return []

    def close(self) -> None:
        if self._metrics:
            self._metrics.close()
            self._metrics = None
        self._broadcast.close()
