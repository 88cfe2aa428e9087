"""One group and the process it has now: begun, watched, ended, and begun again with back-off."""

import os
import signal
import sys
import time
from collections import deque
from contextlib import suppress
from typing import Any

import psutil

from nodes.runtime.actor import GroupActor, Status, checksum
from nodes.runtime.cluster import ray
from nodes.runtime.graph import LOCAL, MB
from nodes.runtime.log import retold
from nodes.runtime.plan import GroupPlan
from nodes.runtime.pulse import Pulse
from nodes.runtime.stillness import Stillness

EPOCHS = 1_000_000
"""A restart of a group raises the epochs of its nodes by this much; below it a node counts its reopenings: a
camera that comes and goes every second does for eleven days."""

STATUS_S = 1.0
STILL_S = 2.0  # a process whose loop has not come round for this long is hung, or suspended
ANSWER_S = 5.0  # and one that has not answered for this long
FAR_ANSWER_S = 60.0  # of one on another host the link may be cut: the group goes on, it must not be ended
FAR_STILL_S = 5.0  # what it says of itself: there, and where this is not Linux, nobody sees what it waits for
START_S = 60.0
FIRST_BACKOFF_S = 0.5  # before the second restart in a row; the first is immediate
MAX_BACKOFF_S = 8.0
GIVE_UP_AFTER = 8  # starts ...
GIVE_UP_WITHIN_S = 120.0  # ... in this time

# One thread for ``life``, one for ``open`` or ``status``, one for ``stop`` while a status hangs.
_ACTOR: Any = ray.remote(GroupActor)
_LIFE = {"num_cpus": 0, "max_restarts": 0, "max_concurrency": 3}


class Group:
    """state: as in ``Health``, and what only the supervisor can tell.  again_s: when the next may begin."""

    def __init__(self, plan: GroupPlan) -> None:
        self.plan = plan
        self.restarts = -1
        self.pid = self._before = 0
        self.error: str | None = None
        self.again_s = 0.0
        self._begun_s: deque[float] = deque(maxlen=GIVE_UP_AFTER)
        self._pulse: Pulse | None = None
        self.begin()

    @property
    def name(self) -> str:
        return self.plan.group

    def begin(self) -> None:
        self.restarts += 1
        self._begun_s.append(time.monotonic())
        self.state = "restarting" if self.restarts else "starting"
        if self.plan.host == LOCAL and sys.platform == "linux":
            self._pulse = Pulse.shared()
            self._stillness = Stillness(self._pulse)
        place = _ACTOR.options(**_LIFE, resources={self.plan.host: 1})
        epoch = self.restarts * EPOCHS
        pulse = self._pulse.path if self._pulse else ""
        self.actor: Any = place.remote(self.plan, epoch, self.restarts, self._before, checksum(), pulse)
        self.life = self.actor.life.remote()
        self.opening: Any = self.actor.open.remote()
        self.answer: Any = None
        self.asked_s = 0.0
        self.excused_until_s = 0.0

    def references(self) -> list[Any]:
        return [ref for ref in (self.life, self.opening, self.answer) if self.actor and ref]

    def watch(self, ready: set[Any], now_s: float, turn_s: float) -> str | None:
        """Look at the process, take what it has answered and ask again; the reason why it must go, if so.

        turn_s: since the last look.
        """
        if self.life in ready:
            return _outcome(self.life) or "ended"
        if self._pulse and self._pulse.pid:
            self.pid = self._pulse.pid
        if self.opening:
            if self.opening in ready:
                error = _outcome(self.opening)
                self.opening = None
                return error
            return f"not open after {START_S:.0f} s" if now_s - self._begun_s[-1] > START_S else None
        if self._pulse and (reason := self._look(turn_s)):
            return reason
        if self.answer:
            if self.answer in ready:
                return self._take(self.answer)
            if now_s - self.asked_s > ANSWER_S and self.plan.host != LOCAL:
                self.state = "unreachable"
            patience_s = ANSWER_S if self.plan.host == LOCAL else FAR_ANSWER_S
            return "does not answer" if now_s - self.asked_s > patience_s else None
        if now_s - self.asked_s >= STATUS_S:
            self.asked_s = now_s
            self.answer = self.actor.status.remote()
        return None

    def _look(self, turn_s: float) -> str | None:
        """At a process of this host, whatever it says of itself."""
        still_s = self._stillness.look(turn_s)
        if still_s >= STILL_S:
            return f"{'suspended' if self._stillness.suspended else 'hung'} for {still_s:.0f} s"
        with suppress(psutil.Error):
            return self._too_much(psutil.Process(self.pid).memory_info().rss)
        return None

    def _too_much(self, held_bytes: int) -> str | None:
        if held_bytes <= self.plan.memory_mb * MB:
            return None
        return f"holds {held_bytes / MB:.0f} MB of memory, its memory_mb is {self.plan.memory_mb}"

    def _take(self, answer: Any) -> str | None:
        self.answer = None
        try:
            status: Status = ray.get(answer)
        except ray.exceptions.RayError:
            return _outcome(self.life)
        for line in status.lines:
            retold(line)
        self.pid, self.error = status.pid, status.error
        if status.state in ("running", "finished"):
            self.state = status.state
        if self._pulse:
            return None
        if reason := self._too_much(status.memory_bytes):
            return reason
        hung = (
            self.state == "running" and status.still_s > FAR_STILL_S and self.asked_s > self.excused_until_s
        )
        return f"hung for {status.still_s:.0f} s" if hung else None

    def excuse(self, slept_s: float, now_s: float) -> None:
        """Nobody could answer for so long: every deadline is later by it."""
        self.asked_s += slept_s
        if self._begun_s:
            self._begun_s[-1] += slept_s
        self.excused_until_s = now_s + STATUS_S

    def go(self) -> None:
        self.actor.go.remote()
        self.state = "running"

    def fail(self, now_s: float) -> None:
        """End the process and choose when the next may begin."""
        self.kill()
        self.state = "restarting"
        recent = [t for t in self._begun_s if now_s - t < GIVE_UP_WITHIN_S]
        if len(recent) >= GIVE_UP_AFTER:
            self.state = "gave up"
        backoff_s = 0.0 if len(recent) < 2 else FIRST_BACKOFF_S * 2.0 ** (len(recent) - 2)
        self.again_s = now_s + min(backoff_s, MAX_BACKOFF_S)

    def wait_for_host(self) -> None:
        """Nothing can be begun before its host is back; what ended with the host does not count."""
        self.state = "waiting"
        self._begun_s.clear()

    def kill(self) -> None:
        """End the process whatever it is doing."""
        with suppress(ray.exceptions.RayError):
            ray.kill(self.actor)
        if self.pid and self.plan.host == LOCAL:  # one that is suspended or stuck does not hear Ray
            with suppress(OSError):
                os.kill(self.pid, signal.SIGKILL)
        if self._pulse:
            self._pulse.close()
            self._pulse = None
        self.actor, self._before, self.pid = None, self.pid, 0


def _outcome(reference: Any) -> str | None:
    """The error a call returned, or how its process ended."""
    try:
        error: str | None = ray.get(reference)
    except ray.exceptions.ActorDiedError:
        return "its process died"
    except ray.exceptions.RayError as error:
        return str(error).splitlines()[0]
    return error
