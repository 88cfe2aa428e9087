"""Records what camera and microphone sent and what was understood, for Foxglove and for a replay."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from nodes.outputs.bulletin import Bulletin
from nodes.outputs.recorder import Limits, Recorder
from nodes.outputs.shelf import Shelf
from nodes.outputs.waiting import Item
from nodes.runtime.errors import UserError
from nodes.runtime.messages import Audio, Gap, Message, Picture
from nodes.runtime.node import Context

SOURCE_PORTS = (Audio.port, Picture.port)
PATIENCE_S = 2.0  # where a file is read, it can wait for the disk


class Record:
    """One MCAP file after the other in ``folder`` (``docs/recording.md``).

    folder: is made where it is not there.
    quality: of the pictures, JPEG, 1 to 100.
    file_minutes, file_mb: the next file begins after so long, and when one is so large.
    disk_mb: all recordings together; when they are more, the oldest go.  Only files it made itself are
        removed, and never the one it writes.
    free_mb: so much of the disk is left free: when there is less, recording stops until there is more.
    """

    inputs: ClassVar[tuple[str, ...]] = (*SOURCE_PORTS, "transcript", "voice", "face", "sentiment", "health")
    outputs: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        *,
        folder: str = "recordings",
        quality: int = 90,
        file_minutes: float = 10.0,
        file_mb: int = 1000,
        disk_mb: int = 20_000,
        free_mb: int = 500,
    ) -> None:
        self._folder = Path(folder).expanduser()
        self._quality = quality
        self._limits = Limits(file_minutes * 60, file_mb * 10**6, disk_mb * 10**6, free_mb * 10**6)
        self._recorder: Recorder | None = None

    def open(self, context: Context) -> None:
        """Raises UserError for options that make no sense and for a folder that cannot be written to."""
        limits = self._limits
        if not 1 <= self._quality <= 100:
            raise UserError(f"quality {self._quality}: give 1 to 100")
        if not (limits.file_s > 0 and limits.file_bytes > 0 and limits.free_bytes >= 0):
            raise UserError("file_minutes and file_mb must be above 0, free_mb not below")
        if limits.disk_bytes < 2 * limits.file_bytes:
            raise UserError(f"disk_mb {limits.disk_bytes // 10**6}: give at least two files of file_mb")
        self._context = context
        self._bulletin = Bulletin(context)
        shelf = Shelf(self._folder)
        shelf.adopt()
        wired = context.wired if context.wired is not None else SOURCE_PORTS
        ports = tuple(port for port in SOURCE_PORTS if port in wired)
        self._recorder = Recorder(shelf, limits, ports, self._quality)

    def step(self, messages: Sequence[Message]) -> list[Message]:
        assert self._recorder is not None, "step before open"
        now_ns, wait_s = self._context.now_ns(), 0.0 if self._context.live else PATIENCE_S
        for message in messages:
            if isinstance(message, Audio | Picture) or (
                isinstance(message, Gap) and message.of in SOURCE_PORTS
            ):
                self._recorder.put(Item(now_ns, "", message), wait_s)
        for topic, body in self._bulletin.tell(messages):
            self._recorder.put(Item(now_ns, topic, body), wait_s)
        return []

    def close(self) -> None:
        if self._recorder is not None:
            self._recorder.close()

    @property
    def warnings(self) -> list[str]:
        """What is wrong with it, for ``status``."""
        trouble = self._recorder.trouble if self._recorder is not None else ""
        return [trouble] if trouble else []

    @property
    def recording(self) -> dict[str, Any] | None:
        """The file, its length and what was lost, for ``status``."""
        return self._recorder.report if self._recorder is not None else None
