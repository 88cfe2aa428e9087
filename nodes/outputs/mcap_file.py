"""One recording while it is written: an MCAP file in JSON, complete up to the last second at any time."""

import contextlib
import fcntl
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Any

import msgspec
from mcap.writer import Writer

from nodes.runtime.recorded import ABOUT

PART = ".part"
CHUNK_BYTES = 2**20


class McapFile:
    """Written as ``path`` with ``.part`` behind its name, locked while it is; ``finish`` gives it its name.

    unix_offset_ns, ports: see ``nodes.sources.archive.About``.  Raises OSError, as all methods do where the
    disk is full or gone.
    """

    def __init__(self, path: Path, unix_offset_ns: int, ports: tuple[str, ...]) -> None:
        self.path = path
        self.unix_offset_ns = unix_offset_ns
        self._part = path.with_name(path.name + PART)
        self._file = self._part.open("xb", buffering=0)
        self._whole_bytes = 0
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._writer = Writer(_Straight(self._file), chunk_size=CHUNK_BYTES)  # type: ignore[arg-type]
            self._writer.start(profile="hearsee")
            about = {"ports": " ".join(ports), "unix_offset_ns": str(unix_offset_ns)}
            self._writer.add_metadata(ABOUT, about)
            self.flush()
        except OSError:
            self.give_up()
            raise
        self._schemas: dict[str, int] = {}
        self._channels: dict[tuple[str, str], int] = {}

    @property
    def bytes(self) -> int:
        """How long it is, up to the last ``flush``."""
        return self._whole_bytes

    def write(
        self, topic: str, schema: str, message: msgspec.Struct, log_ns: int, publish_ns: int, seq: int
    ) -> None:
        """log_ns: when it came to the recorder, publish_ns: when it was captured or published; host clock."""
        channel = self._channels.get((topic, schema))
        if channel is None:
            if schema not in self._schemas:
                described = msgspec.json.encode(json_schema(type(message)))
                self._schemas[schema] = self._writer.register_schema(schema, "jsonschema", described)
            channel = self._writer.register_channel(topic, "json", self._schemas[schema])
            self._channels[topic, schema] = channel
        self._writer.add_message(
            channel,
            max(0, log_ns + self.unix_offset_ns),
            msgspec.json.encode(message),
            max(0, publish_ns + self.unix_offset_ns),
            seq % 2**32,
        )

    def flush(self) -> None:
        """What was written up to here can be read, whatever happens to this process."""
        self._writer.flush()
        self._whole_bytes = self._file.tell()

    def finish(self) -> None:
        """Ends the file with its index and gives it its name."""
        self.flush()
        self._writer.finish()
        self._name()

    def give_up(self) -> None:
        """Ends it at its last flush, for a disk that takes no more; what has nothing in it is removed."""
        _quietly(lambda: self._file.truncate(self._whole_bytes))
        _quietly(self._part.unlink if not self._whole_bytes else self._name)
        _quietly(self._file.close)

    def _name(self) -> None:
        self._part.rename(self.path)
        self._file.close()


class _Straight:
    """What is written is with the system at once: a buffer would hold on to what a full disk did not take."""

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self.tell = file.tell

    def write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) or 0 :]

    def flush(self) -> None:
        pass


def _quietly(act: Callable[[], Any]) -> None:
    with contextlib.suppress(OSError):
        act()


def json_schema(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON schema of a struct, as far as Foxglove can read one: it knows neither ``$ref`` nor ``anyOf``.

    What may be null stands as what it is otherwise, and a list of lists does not stand in it at all; both are
    in the messages all the same.
    """
    [described], known = msgspec.json.schema_components([kind], ref_template="{name}")
    shown: dict[str, Any] = _plain(described, known)
    return shown


def _plain(schema: dict[str, Any], known: dict[str, Any]) -> Any:
    if "$ref" in schema:
        return _plain(known[schema["$ref"]], known)
    if "anyOf" in schema:
        return _plain(next(one for one in schema["anyOf"] if one.get("type") != "null"), known)
    if "const" in schema:
        return {"type": "string"}
    if schema.get("type") == "array":
        items = _plain(schema.get("items", {}), known)
        return {"type": "array", "items": items} if items and items["type"] != "array" else None
    if schema.get("type") == "object":
        fields = {name: _plain(field, known) for name, field in schema.get("properties", {}).items()}
        shown = {name: field for name, field in fields.items() if field is not None}
        return {"type": "object", "properties": shown}
    keys = ("type", "contentEncoding", "description")
    return {key: schema[key] for key in keys if key in schema} if "type" in schema else None
