"""What was understood of a recording, as lines of JSON in a file: of two replays the same to the byte."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, ClassVar

import msgspec

from nodes.outputs.bulletin import Bulletin
from nodes.runtime.errors import UserError
from nodes.runtime.messages import Message
from nodes.runtime.node import Context

log = logging.getLogger(__name__)


class Results:
    """path: the file, there once all is written, and only if it was.  unix_offset_ns: see ``Bulletin``.

    Every body as it is published, with its topic, but ``status``; ``t_emit_ns`` is 0, for when something was
    said again by a replay says nothing.
    """

    inputs: ClassVar[tuple[str, ...]] = ("transcript", "voice", "face", "sentiment")
    outputs: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, path: str, unix_offset_ns: int | None = None) -> None:
        self._path = Path(path)
        self._part = self._path.with_name(self._path.name + ".part")
        self._unix_offset_ns = unix_offset_ns
        self._file: IO[bytes] | None = None
        self.warnings: list[str] = []

    def open(self, context: Context) -> None:
        """Raises UserError where there can be no such file."""
        try:
            self._file = self._part.open("wb")
        except OSError as error:
            raise UserError(_why(self._path, error)) from error
        self._bulletin = Bulletin(context, self._unix_offset_ns)

    def step(self, messages: Sequence[Message]) -> list[Message]:
        for topic, body in self._bulletin.tell(messages):
            if topic != "status":
                body.t_emit_ns = 0
                self._write(msgspec.json.encode({"topic": topic} | msgspec.structs.asdict(body)) + b"\n")
        return []

    def close(self) -> None:
        if self._file is None:
            return
        try:
            self._file.close()
        except OSError as error:
            self.warnings = [_why(self._path, error)]
        if self.warnings or not self._part.stat().st_size:
            self._part.unlink()
        else:
            self._part.rename(self._path)

    def _write(self, line: bytes) -> None:
        if self.warnings or self._file is None:
            return
        try:
            self._file.write(line)
        except OSError as error:
            self.warnings = [_why(self._path, error)]
            log.warning("%s", self.warnings[0])


def _why(path: Path, error: OSError) -> str:
    return f"{path}: cannot be written: {os.strerror(error.errno or 0).lower()}"
