"""The process of a group: a Ray actor, and in it nothing but the host and its log."""

import logging
import os
import time

import msgspec

from nodes.runtime.errors import UserError
from nodes.runtime.host import GroupHost, resident_bytes
from nodes.runtime.plan import GroupPlan

OPEN_S = 60.0


class Status(msgspec.Struct, frozen=True):
    """state: as in ``Health``.  still_s: how long since the loop came round.

    memory_bytes: held now.  error: of a file that failed.  lines: logged since the last status.
    """

    pid: int
    state: str
    still_s: float
    memory_bytes: int
    error: str | None
    lines: list[str]


class _Lines(logging.Handler):
    def __init__(self, host: GroupHost) -> None:
        super().__init__(logging.WARNING)
        self.host = host

    def emit(self, record: logging.LogRecord) -> None:
        self.host.log_lines.append(record.getMessage().splitlines()[0])


class GroupActor:
    """``life`` returns when the group has ended, so its reference tells the supervisor of a death at once."""

    def __init__(self, plan: GroupPlan, epoch: int, restarts: int) -> None:
        self.host = GroupHost(plan, epoch, restarts)
        logging.getLogger().addHandler(_Lines(self.host))
        self.host.start()

    def open(self) -> str | None:
        """The error that keeps a node from opening, if any."""
        try:
            self.host.wait_open(OPEN_S)
        except UserError as error:
            return str(error)
        return None

    def life(self) -> str | None:
        """The error that ended the group, if any."""
        self.host.join()
        return self.host.error

    def go(self) -> None:
        self.host.go()

    def status(self) -> Status:
        host = self.host
        lines = [host.log_lines.popleft() for _ in range(len(host.log_lines))]
        still_s = (time.monotonic_ns() - host.beat_ns) / 1e9
        return Status(os.getpid(), host.state, still_s, resident_bytes(), host.error, lines)

    def stop(self, silent: list[str]) -> None:
        self.host.stop(silent)
