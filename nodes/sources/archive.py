"""What is in a recording, and what can still be read of one that was cut off or damaged?"""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import zstandard
from mcap.exceptions import InvalidMagic, McapError
from mcap.records import Channel, Chunk, McapRecord, Metadata, Schema
from mcap.records import Message as Record
from mcap.stream_reader import StreamReader, breakup_chunk

from nodes.runtime.errors import UserError
from nodes.runtime.messages import Audio, Gap, MessageError, Picture
from nodes.runtime.recorded import ABOUT, SCHEMAS, restore

LONGEST = 2**26  # bytes of a chunk, as it lies in the file and unpacked: ours are of one second
PORTS = frozenset({Audio.port, Picture.port})


class About(NamedTuple):
    """ports: those of "audio" and "picture" that were recorded.

    unix_offset_ns: the wall clock less the monotonic one of the host that recorded, when it began.
    """

    ports: frozenset[str]
    unix_offset_ns: int


def probe(path: str) -> About:
    """What the recording says of itself.  Raises UserError where nothing of it can be replayed."""
    about: About | None = None
    damage: Counter[str] = Counter()
    with _open(path) as file:
        for record in _records(path, file, damage):
            if isinstance(record, Metadata) and record.name == ABOUT:
                about = _about(record.metadata)
            elif isinstance(record, Record) and about is not None and about.ports:
                return about
    if damage:
        raise UserError(f"{path}: nothing of it can be read, it is cut off or damaged near its beginning")
    raise UserError(f"{path}: is MCAP, but holds no sound or pictures that hearsee recorded")


def read(path: str, damage: Counter[str]) -> Iterator[Audio | Picture | Gap]:
    """What the sources sent, as it was recorded.  What cannot be read is counted in ``damage``, by kind."""
    schemas: dict[int, str] = {}
    channels: dict[int, str] = {}
    with _open(path) as file:
        for record in _records(path, file, damage):
            if isinstance(record, Schema):
                schemas[record.id] = record.name
            elif isinstance(record, Channel):
                channels[record.id] = schemas.get(record.schema_id, "")
            elif isinstance(record, Record) and channels.get(record.channel_id) in SCHEMAS:
                try:
                    yield restore(channels[record.channel_id], record.data)
                except MessageError:
                    damage["messages that make no sense"] += 1


def _open(path: str) -> IO[bytes]:
    file = Path(path).expanduser()
    if file.is_dir():
        raise UserError(f"{path}: is a folder; name one recording in it")
    try:
        return file.open("rb")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; check the path") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {os.strerror(error.errno or 0)}") from None


def _records(path: str, file: IO[bytes], damage: Counter[str]) -> Iterator[McapRecord]:
    """All there is, in the order it was written, until the end or to where it cannot be read any further."""
    reader = StreamReader(file, emit_chunks=True, record_size_limit=LONGEST)
    try:
        for record in reader.records:
            if isinstance(record, Chunk):
                _check_size(record)
                yield from breakup_chunk(record, validate_crc=True)
            else:
                yield record
    except InvalidMagic as error:
        if file.tell() <= 8:
            raise UserError(f"{path}: is no recording (MCAP)") from error
        damage["cut off or damaged"] += 1
    except Exception:  # the library raises anything on bytes that are not what they should be
        if file.tell() < 8:
            raise UserError(f"{path}: is no recording (MCAP), it has {file.tell()} bytes") from None
        damage["cut off or damaged"] += 1


def _check_size(chunk: Chunk) -> None:
    """Before it is unpacked: a small chunk can claim to be a huge one."""
    if chunk.compression not in ("", "zstd"):
        raise McapError(f"compressed as {chunk.compression[:20]!r}")
    size = zstandard.frame_content_size(chunk.data) if chunk.compression else len(chunk.data)
    if chunk.uncompressed_size > LONGEST or size > LONGEST:
        raise McapError("a chunk longer than any of ours")


def _about(metadata: dict[str, str]) -> About:
    ports = PORTS.intersection(metadata.get("ports", "").split())
    try:
        return About(ports, int(metadata.get("unix_offset_ns", "0")[:20]))
    except ValueError:
        return About(ports, 0)
