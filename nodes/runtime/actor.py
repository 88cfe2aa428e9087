"""The process of a group: a Ray actor, and in it nothing but the host and its log."""

import hashlib
import logging
import os
import signal
from collections import deque
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec.structs import replace

from nodes.runtime.errors import UserError
from nodes.runtime.host import GroupHost
from nodes.runtime.log import Line, Lines
from nodes.runtime.memory import resident_bytes
from nodes.runtime.plan import FOLDER, Edge, GroupPlan
from nodes.runtime.pulse import Pulse
from nodes.runtime.slot import OPEN_S

LINES = 100  # that wait for the supervisor, who asks once a second; of more the oldest are lost
KEYS_VARIABLE, FOLDER_VARIABLE = "HEARSEE_KEYS", "HEARSEE_RUN"
"""Environment of a host's processes where there are several: where its keys are, where its sockets lie."""


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
    """``life`` returns when the group has ended, so its reference tells the supervisor of a death at once.

    before: process id of the one before on this host, 0 for none; a process that was given up because it
    hangs may still hold the group's addresses.  code: what ``checksum`` has to be.  pulse: path of the page
    by which the supervisor sees that it goes on, if it can.
    """

    def __init__(
        self, plan: GroupPlan, epoch: int, restarts: int, before: int, code: str, pulse: str = ""
    ) -> None:
        self._refused = None
        if code != checksum():
            self._refused = (
                f"host {plan.host} has another version of hearsee than this one; update one of them"
            )
        if before and _is_a_group(before):
            with suppress(OSError):
                os.kill(before, signal.SIGKILL)
        keys = os.environ.get(KEYS_VARIABLE)
        self.host = GroupHost(
            _at_home(plan), epoch, restarts, Path(keys) if keys else None, Pulse.at(pulse) if pulse else None
        )
        self._told: deque[Line] = deque(maxlen=LINES)
        self._lines = Lines(plan.group, self._told.append)
        logging.getLogger().addHandler(self._lines)
        if not self._refused:
            self.host.start()

    def open(self) -> str | None:
        """The error that keeps a node from opening, if any."""
        if self._refused:
            return self._refused
        try:
            self.host.wait_open(OPEN_S)
        except UserError as error:
            return str(error)
        return None

    def life(self) -> str | None:
        """The error that ended the group, if any."""
        if not self._refused:
            self.host.join()
        return self._refused or self.host.error

    def go(self) -> None:
        self.host.go()

    def status(self) -> Status:
        host = self.host
        self._lines.tell_held()
        lines = [self._told.popleft() for _ in range(len(self._told))]
        return Status(os.getpid(), host.state, host.pulse.still_s(), resident_bytes(), host.error, lines)

    def stop(self, silent: list[str]) -> None:
        self.host.stop(silent)


def checksum() -> str:
    """Of the code that hosts must have alike: what is in a message, and how a group is hosted."""
    found = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        found.update(file.read_bytes())
    return found.hexdigest()


def _at_home(plan: GroupPlan) -> GroupPlan:
    """The plan with the folder of this host in the addresses of its sockets."""
    folder = os.environ.get(FOLDER_VARIABLE, "")

    def edge(given: Edge) -> Edge:
        return replace(given, address=given.address.replace(f"ipc://{FOLDER}/", f"ipc://{folder}/"))

    return replace(
        plan,
        outgoing=tuple(edge(one) for one in plan.outgoing),
        incoming=tuple(edge(one) for one in plan.incoming),
    )


def _is_a_group(pid: int) -> bool:
    """Whether process ``pid`` is one of this class; its number may have been given to another since."""
    try:
        return b"GroupActor" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
