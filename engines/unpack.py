"""A few known files out of a tar archive, and nothing else of it.

Members are read, not extracted: each file is written under the name that the catalogue gives it, so no path,
link, device or permission in the archive reaches the disk.  Limits hold for what it would decompress to.
"""

import bz2
import gzip
import hashlib
import lzma
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from engines.catalogue import Known
from nodes.runtime.errors import UserError

_PIECE = 2**20
MAX_MEMBERS = 10_000
# Zipformer archives decompress to their size and a half; a bomb to its thousandfold.
MAX_RATIO = 20
_OPENERS: dict[bytes, Callable[..., Any]] = {b"BZh": bz2.open, b"\x1f\x8b": gzip.open, b"\xfd7z": lzma.open}


class _Bounded:
    """A decompressed stream of at most ``most`` bytes, of which none can be asked for in one huge piece."""

    def __init__(self, stream: BinaryIO, most: int) -> None:
        self._stream, self._most = stream, most

    def read(self, size: int) -> bytes:
        self._allow(self._stream.tell() + size, size)
        return self._stream.read(size)

    def seek(self, to: int, whence: int = 0) -> int:
        self._allow(to, 0)
        return self._stream.seek(to, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def _allow(self, end: int, piece: int) -> None:
        if piece < 0 or piece > 64 * _PIECE or end > self._most + tarfile.RECORDSIZE:
            raise UserError("decompresses to more than it may")


def unpack(archive: Path, wanted: dict[str, Known], into: Path) -> None:
    """Writes each of ``wanted`` into the folder ``into``; they lie at its top or in one folder of it.

    Raises UserError where the archive is damaged, lacks one, holds one twice or as anything but a plain file,
    where a sum or size is not the known one, and where it decompresses to more than it may.
    """
    most = min(archive.stat().st_size * MAX_RATIO + _PIECE, 8 * 2**30)
    try:
        with archive.open("rb") as raw:
            magic = raw.read(3)
        opener = next((open_ for start, open_ in _OPENERS.items() if magic.startswith(start)), open)
        with cast(BinaryIO, opener(archive, "rb")) as stream:
            bounded: Any = _Bounded(stream, most)
            with tarfile.open(fileobj=bounded, mode="r:") as tar:
                found = _write_wanted(tar, wanted, into)
    except UserError as error:
        raise UserError(f"{archive.name}: {error}; refused") from None
    except (tarfile.TarError, EOFError, OSError, ValueError, lzma.LZMAError, zlib.error) as error:
        raise UserError(f"{archive.name}: cannot be unpacked ({error})") from None
    if missing := wanted.keys() - found:
        raise UserError(f"{archive.name}: has no {', '.join(sorted(missing))}; refused")


def _write_wanted(tar: tarfile.TarFile, wanted: dict[str, Known], into: Path) -> set[str]:
    found: set[str] = set()
    for count, member in enumerate(tar):
        if count == MAX_MEMBERS:
            raise UserError(f"has more than {MAX_MEMBERS} members")
        path = PurePosixPath(member.name)
        if path.name not in wanted:
            continue
        if path.is_absolute() or ".." in path.parts or len(path.parts) > 2:
            raise UserError(f"holds {path.name} at {member.name[:200]!r}, outside its folder")
        if not member.isreg() or member.issparse():
            raise UserError(f"holds {path.name} as a link or device, not as a file")
        if path.name in found:
            raise UserError(f"holds {path.name} twice")
        known = wanted[path.name]
        if member.size != known.bytes:
            raise UserError(f"holds {path.name} of {member.size} bytes, {known.bytes} are known")
        _write(tar, member, known, into / path.name)
        found.add(path.name)
    return found


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, known: Known, to: Path) -> None:
    source = tar.extractfile(member)
    assert source is not None, "a plain file has content"
    digest = hashlib.sha256()
    with to.open("xb") as file:
        while piece := source.read(_PIECE):
            digest.update(piece)
            file.write(piece)
    if digest.hexdigest() != known.sha256:
        raise UserError(
            f"holds another {to.name} than the known one (SHA-256 is {digest.hexdigest()[:12]}...)"
        )
