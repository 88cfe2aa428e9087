"""The process of a group: a Ray actor, and in it nothing but the host and its log."""

import logging
import os
import time
from collections import deque

import msgspec

from nodes.runtime.errors import UserError
from nodes.runtime.host import GroupHost, resident_bytes
from nodes.runtime.log import Line, Lines
from nodes.runtime.plan import GroupPlan

OPEN_S = 60.0
LINES = 100  # that wait for the supervisor, who asks once a second; of more the oldest are lost


class Status(msgspec.Struct, frozen=True):
    """state: as in ``Health``.  still_s: how long since the loop came round.

    memory_bytes: held now.  error: of a file that failed.  lines: logged since the last status.
    """

    pid: int
    state: str
    still_s: float
    memory_bytes: int
    error: str | None
    lines: list[Line]


class GroupActor:
    """``life`` returns when the group has ended, so its reference tells the supervisor of a death at once."""

    def __init__(self, plan: GroupPlan, epoch: int, restarts: int) -> None:
        self.host = GroupHost(plan, epoch, restarts)
        self._told: deque[Line] = deque(maxlen=LINES)
        self._lines = Lines(plan.group, self._told.append)
        logging.getLogger().addHandler(self._lines)
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
        self._lines.tell_held()
        lines = [self._told.popleft() for _ in range(len(self._told))]
        still_s = (time.monotonic_ns() - host.beat_ns) / 1e9
        return Status(os.getpid(), host.state, still_s, resident_bytes(), host.error, lines)

    def stop(self, silent: list[str]) -> None:
        self.host.stop(silent)
