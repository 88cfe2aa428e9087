"""How long a process has stood still, as seen from outside: a hung one is told from one that is starved."""

import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from nodes.runtime.pulse import Pulse

TURN_S = 0.25
"""How often one looks: a turn that took longer counts as this, for then we ourselves did not get to run."""

AT_MOST_S = 20.0
"""Whatever it waits for: so much of our own turns is too long."""

WORKS = 0.4
"""What it computes counts so much: it may be loading a library, and Python lets nobody else run meanwhile."""

SUSPENDED, FOR_THE_DISK, RUNNABLE = "T", "D", "R"


class Stillness:
    """``look`` is called every TURN_S; what a process waits for a processor or a disk is not held against it,
    and what it computes less than what it does nothing.  Of Linux, whose ``/proc`` tells.
    """

    def __init__(self, pulse: Pulse) -> None:
        self._pulse = pulse
        self._due_ns = pulse.due_ns
        self._turns_s = self._excused_s = 0.0
        self._before: _Threads | None = None
        self.suspended = False

    def look(self, turn_s: float) -> float:
        """For how long the loop has stood still, in seconds; turn_s: since the last call."""
        due_ns = self._pulse.due_ns
        if due_ns != self._due_ns or due_ns > time.monotonic_ns():
            self._due_ns = due_ns
            self._turns_s = self._excused_s = 0.0
            self._before, self.suspended = None, False
            return 0.0
        turn_s = min(turn_s, TURN_S)
        self._turns_s += turn_s
        before, now = self._before, _threads(self._pulse.pid)
        self._before = now
        state = now.states.get(self._pulse.thread, "")
        self.suspended = state == SUSPENDED
        ran_s = min(turn_s, max(0.0, now.ran_s - before.ran_s)) if before else 0.0
        waited_s = max(0.0, now.waited_s - before.waited_s) if before else 0.0
        if state == FOR_THE_DISK:
            waited_s = turn_s
        elif before and RUNNABLE in now.states.values():
            # What one waits for a processor is counted once it gets it: meanwhile, all that it did not run.
            waited_s = turn_s - ran_s
        self._excused_s += min(turn_s, waited_s + (1 - WORKS) * ran_s)
        return self._turns_s if self._turns_s > AT_MOST_S else self._turns_s - self._excused_s


@dataclass
class _Threads:
    """Of a process: states, letters as in proc_pid_stat(5); what they ran, and waited for a processor."""

    states: dict[int, str] = field(default_factory=dict)
    ran_s: float = 0.0
    waited_s: float = 0.0


def _threads(pid: int) -> _Threads:
    """What the system tells of them, nothing where it does not."""
    found = _Threads()
    for thread in Path(f"/proc/{pid}/task").glob("*"):
        with suppress(OSError, IndexError, ValueError):  # it has just ended
            found.states[int(thread.name)] = (thread / "stat").read_text().rpartition(")")[2].split()[0]
            ran_ns, waited_ns, _ = (thread / "schedstat").read_text().split()
            found.ran_s += int(ran_ns) / 1e9
            found.waited_s += int(waited_ns) / 1e9
    return found
