"""What is fuzzed: a parser, what it may raise, and what its input looks like when it is right."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from nodes.runtime.errors import UserError

LONGEST_LINE = 10_000


@dataclass(frozen=True)
class Target:
    """run: parses bytes; raises nothing, unless there is a bug.  seeds: inputs that are right, to begin with.

    longest: bytes an input may have.  words: what is worth putting into one.
    brief: executions that take about a second.
    """

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    brief: int
    longest: int = 4096
    words: tuple[bytes, ...] = ()


@contextmanager
def declared(*kinds: type[Exception]) -> Iterator[None]:
    """Lets the declared errors pass, ``UserError`` where none is named, if they fit a line for a person."""
    wanted = kinds or (UserError,)
    try:
        yield
    except Exception as error:
        if not isinstance(error, wanted):
            raise
        if not 0 < len(str(error)) < LONGEST_LINE:
            raise AssertionError(f"an error of {len(str(error))} characters: {str(error)[:3000]}") from error


@cache
def folder() -> Path:
    """This process's own; whoever started it removes it."""
    return Path(tempfile.mkdtemp(prefix="hearsee-fuzz-"))


def written(name: str, data: bytes) -> Path:
    path = folder() / name
    path.write_bytes(data)
    return path


def split(data: bytes) -> list[bytes]:
    """Several byte strings out of one: each has its length before it, in two bytes; the last has the rest."""
    parts, at = [], 0
    while at + 2 <= len(data):
        size = int.from_bytes(data[at : at + 2], "little")
        parts.append(data[at + 2 : at + 2 + size])
        at += 2 + size
    return parts


def joined(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(2, "little") + part for part in parts)
