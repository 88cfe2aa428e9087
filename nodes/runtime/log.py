"""What is told beside what is published: one line a record on stderr, for a person or as JSON, and no line
over and over.

Lines of a group are made in its process (``Lines`` there) and told by the supervisor's (``retold``).
"""

import logging
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import msgspec
from msgspec.structs import replace

from nodes.runtime.printable import printable

HELD_S = 30.0
LONGEST = 1000  # characters
KEPT = 500  # different lines that are remembered; of more the oldest is forgotten


class Line(msgspec.Struct, frozen=True):
    """time_s: since 1970.  source: the module that says it.  held_back: times it was not told since."""

    time_s: float
    level: int
    group: str
    source: str
    message: str
    held_back: int = 0

    @property
    def text(self) -> str:
        """For a person."""
        often = "once" if self.held_back == 1 else f"{self.held_back} times"
        again = f" (held back {often})" if self.held_back else ""
        return f"{'error: ' if self.level >= logging.ERROR else ''}{printable(self.message)}{again}"

    @property
    def json(self) -> str:
        """For a program: one object, keys ``time``, ``level``, ``group``, ``source``, ``message``."""
        told: dict[str, str | int] = {
            "time": datetime.fromtimestamp(self.time_s, UTC).isoformat(timespec="milliseconds"),
            "level": logging.getLevelName(self.level).lower(),
            "group": self.group,
            "source": self.source,
            "message": self.message,
        }
        if self.held_back:
            told["held_back"] = self.held_back
        return msgspec.json.encode(told).decode()


class ToStderr:
    """Writes a line to whatever is stderr then: while the screen is live, it is what prints above it."""

    as_json = False

    def __call__(self, line: Line) -> None:
        print(line.json if self.as_json else line.text, file=sys.stderr, flush=True)


to_stderr = ToStderr()


class Lines(logging.Handler):
    """Gives ``tell`` each record as a line of ``group``; the same one at most once in ``seconds``.

    How often it was held back is told with the next one after that time, or without one with the next other
    line, or by ``tell_held``; ``flush`` tells it at once.
    """

    def __init__(
        self,
        group: str,
        tell: Callable[[Line], None],
        seconds: float = HELD_S,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(logging.WARNING)
        self._group, self._tell = group, tell
        self._seconds, self._now_s = seconds, now_s
        # When each was told, oldest first, and what was held back since.
        self._told: dict[str, tuple[float, Line]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        now_s, message = self._now_s(), " ".join(record.getMessage().splitlines())[:LONGEST]
        group, held_back = getattr(record, "group", self._group), getattr(record, "held_back", 0)
        line = Line(record.created, record.levelno, group, record.name, message, held_back)
        told_s, before = self._told.get(message, (-math.inf, line))
        if now_s - told_s < self._seconds:
            more = before.held_back + held_back + 1
            self._told[message] = told_s, replace(line, held_back=more)
            return
        self._told.pop(message, None)
        self._told[message] = now_s, replace(line, held_back=0)
        self._tell(replace(line, held_back=held_back + (before.held_back if before is not line else 0)))
        self._tell_held(now_s, now_s - self._seconds)
        while len(self._told) > KEPT:
            del self._told[next(iter(self._told))]

    def tell_held(self) -> None:
        """Tells what was held back and has not come again."""
        with self._locked():
            now_s = self._now_s()
            self._tell_held(now_s, now_s - self._seconds)

    def flush(self) -> None:
        with self._locked():
            self._tell_held(self._now_s(), math.inf)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.acquire()
        try:
            yield
        finally:
            self.release()

    def _tell_held(self, now_s: float, until_s: float) -> None:
        for key, (told_s, held) in list(self._told.items()):
            if told_s > until_s:
                return
            del self._told[key]
            if held.held_back:
                self._told[key] = now_s, replace(held, held_back=0)
                self._tell(held)


def retold(line: Line) -> None:
    """Logs here what was logged in a group's process."""
    record = logging.makeLogRecord(
        {
            "name": line.source,
            "levelno": line.level,
            "levelname": logging.getLevelName(line.level),
            "created": line.time_s,
            "msg": line.message,
            "group": line.group,
            "held_back": line.held_back,
        }
    )
    logging.getLogger(line.source).handle(record)
