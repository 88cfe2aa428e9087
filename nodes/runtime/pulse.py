"""Whether a process and the loop in it still go on, in a page of memory that others read.

Nothing in the process has to answer for it: one that is suspended, stuck or starved is seen as it is.
"""

import mmap
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NEVER_NS = 2**63 - 1
_PID, _THREAD, _DUE_NS = range(3)


class Pulse:
    """path: of the page, a file of the run; without one nobody else reads it.

    pid, thread: whose it is, as the system counts them; 0 until there is one.
    due_ns: until then nobody need worry: when the loop came round last, later where it said that it may take
    a while, NEVER_NS while there is none.  Each is a number of eight bytes, written at once.
    """

    def __init__(self, path: Path | None = None) -> None:
        if path is None:
            self._page = mmap.mmap(-1, mmap.PAGESIZE)
        else:
            with open(path, "r+b") as file:
                self._page = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self._numbers = memoryview(self._page).cast("q")
        self._patient: set[int] = set()  # threads
        if path is None:
            self.rest()

    @classmethod
    def laid(cls, path: Path) -> "Pulse":
        """A new one at ``path``; whoever has the one that lay there does not write into this."""
        path.unlink(missing_ok=True)
        path.write_bytes(bytes(mmap.PAGESIZE))
        pulse = cls(path)
        pulse.rest()
        return pulse

    @property
    def pid(self) -> int:
        return self._numbers[_PID]

    @property
    def thread(self) -> int:
        return self._numbers[_THREAD]

    @property
    def due_ns(self) -> int:
        return self._numbers[_DUE_NS]

    def still_s(self) -> float:
        """How long the loop has not come round, by the clock."""
        return max(0, time.monotonic_ns() - self.due_ns) / 1e9

    def announce(self, thread: int = 0) -> None:
        self._numbers[_PID], self._numbers[_THREAD] = os.getpid(), thread

    def beat(self) -> None:
        """The loop comes round, or a thread of it goes on."""
        if not self._patient:
            self._numbers[_DUE_NS] = time.monotonic_ns()

    def rest(self) -> None:
        """There is no loop, or not yet."""
        self._numbers[_DUE_NS] = NEVER_NS

    @contextmanager
    def patience(self, seconds: float) -> Iterator[None]:
        """What this thread does in it may take so long."""
        if self.due_ns == NEVER_NS:
            yield
            return
        self._numbers[_DUE_NS] = time.monotonic_ns() + round(seconds * 1e9)
        self._patient.add(threading.get_ident())
        try:
            yield
        finally:
            self._patient.discard(threading.get_ident())
            self.beat()

    def close(self) -> None:
        self._numbers.release()
        self._page.close()
