"""Whether a process and the loop in it still go on, in a page of memory that others read.

Nothing in the process has to answer for it: one that is suspended, stuck or starved is seen as it is.
"""

import mmap
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

NEVER_NS = 2**63 - 1
_PID, _THREAD, _DUE_NS = range(3)


class Pulse:
    """pid, thread: whose it is, as the system counts them; 0 until there is one.

    due_ns: until then nobody need worry: when the loop came round last, later where it said that it may take
    a while, NEVER_NS while there is none.  Each is a number of eight bytes, written at once.
    path: where others of this user find the page; "" for one that nobody else reads.
    """

    def __init__(self, page: mmap.mmap | None = None, path: str = "", fd: int = -1) -> None:
        self.path, self._fd = path, fd
        self._page = mmap.mmap(-1, mmap.PAGESIZE) if page is None else page
        self._numbers = memoryview(self._page).cast("q")
        self._patient: set[int] = set()  # threads
        if not self.pid:
            self.rest()

    @classmethod
    def shared(cls) -> "Pulse":
        """One that others find until it is closed; in memory only: for a file the loop would wait for a slow
        disk now and then.
        """
        fd = os.memfd_create("hearsee-pulse")
        os.ftruncate(fd, mmap.PAGESIZE)
        return cls(mmap.mmap(fd, mmap.PAGESIZE), f"/proc/{os.getpid()}/fd/{fd}", fd)

    @classmethod
    def at(cls, path: str) -> "Pulse":
        """The one that another process shares."""
        with open(path, "r+b") as file:
            return cls(mmap.mmap(file.fileno(), mmap.PAGESIZE), path)

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
        if self._fd >= 0:
            os.close(self._fd)
