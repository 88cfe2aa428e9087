"""Starts the groups, watches them, starts a dead or hung one again with back-off, and stops them all."""

import logging
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import zmq

from nodes.runtime.actor import GroupActor, Status, checksum
from nodes.runtime.cluster import ray
from nodes.runtime.crossing import Crossing
from nodes.runtime.edge import Outlet
from nodes.runtime.errors import UserError
from nodes.runtime.graph import HEALTH, LOCAL, MB, SUPERVISOR
from nodes.runtime.host import resident_bytes
from nodes.runtime.hosts import is_here
from nodes.runtime.log import retold
from nodes.runtime.messages import Health
from nodes.runtime.notify import Notify
from nodes.runtime.plan import GroupPlan, Plan

log = logging.getLogger(__name__)

EPOCHS = 1_000_000
"""A restart of a group raises the epochs of its nodes by this much; below it a node counts its reopenings: a
camera that comes and goes every second does for eleven days."""

POLL_S = 0.25
STATUS_S = 1.0
ANSWER_S = 5.0  # a process that has not answered for this long is hung
FAR_ANSWER_S = 60.0  # of one on another host the link may be cut: the group goes on, it must not be ended
STILL_S = 5.0  # and so is a group whose loop has not come round for this long
START_S = 60.0
STOP_S = 1.0  # for what was heard to be told to its end, and for devices to be let go
FIRST_BACKOFF_S = 0.5  # before the second restart in a row; the first is immediate
MAX_BACKOFF_S = 8.0
SLEPT_S = 2.0  # we ourselves have not looked for this long: stopped, or the machine was, and so was everybody
GIVE_UP_AFTER = 8  # starts ...
GIVE_UP_WITHIN_S = 120.0  # ... in this time

# One thread for ``life``, one for ``open`` or ``status``, one for ``stop`` while a status hangs.
_ACTOR: Any = ray.remote(GroupActor)
_LIFE = {"num_cpus": 0, "max_restarts": 0, "max_concurrency": 3}


class _Group:
    """One group and the process it has now."""

    def __init__(self, plan: GroupPlan) -> None:
        self.plan = plan
        self.restarts = -1
        self.pid = self._before = 0
        self.error: str | None = None
        self._begun_s: deque[float] = deque(maxlen=GIVE_UP_AFTER)
        self.begin()

    @property
    def name(self) -> str:
        return self.plan.group

    def begin(self) -> None:
        self.restarts += 1
        self._begun_s.append(time.monotonic())
        self.state = "restarting" if self.restarts else "starting"
        place = _ACTOR.options(**_LIFE, resources={self.plan.host: 1})
        epoch = self.restarts * EPOCHS
        self.actor: Any = place.remote(self.plan, epoch, self.restarts, self._before, checksum())
        self.life = self.actor.life.remote()
        self.opening: Any = self.actor.open.remote()
        self.answer: Any = None
        self.asked_s = 0.0
        self.excused_until_s = 0.0

    def references(self) -> list[Any]:
        return [ref for ref in (self.life, self.opening, self.answer) if self.actor and ref]

    def watch(self, ready: set[Any], now_s: float) -> str | None:
        """Take what has been answered and ask again; the reason why the process must go, if it must."""
        if self.life in ready:
            return _outcome(self.life) or "ended"
        if self.opening:
            if self.opening in ready:
                error = _outcome(self.opening)
                self.opening = None
                return error
            return f"not open after {START_S:.0f} s" if now_s - self._begun_s[-1] > START_S else None
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
        held_mb = status.memory_bytes / MB
        if held_mb > self.plan.memory_mb:
            return f"holds {held_mb:.0f} MB of memory, its memory_mb is {self.plan.memory_mb}"
        hung = self.state == "running" and status.still_s > STILL_S and self.asked_s > self.excused_until_s
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
        self.actor, self._before, self.pid = None, self.pid, 0


class Supervisor:
    """``run`` is the life of a pipeline; Ray is running already.

    keys: folder of the hosts' keys, where groups run on several.
    """

    def __init__(self, plan: Plan, notify: Notify | None = None, keys: Path | None = None) -> None:
        self._notify = notify or Notify({})
        self._ends = plan.ends
        self._groups = [_Group(group) for group in plan.groups.values()]
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._crossing = Crossing(self._context, keys)
        self._outlets = []
        for edge in plan.supervisor:
            self._outlets.append(Outlet(edge, self._context, self._crossing.link_for(edge)))
            self._crossing.answer_for(edge)
        self._health_s = 0.0
        self._looked_s = 0.0
        self._seq = 0

    def run(self, stop: threading.Event, ready: Callable[[], None]) -> None:
        """Returns when ``stop`` is set, or a file has ended and everything it led to has been handed on.

        ready: called once when every node but the sources is open; the sources begin when it returns.
        Raises UserError where the pipeline cannot start, where a file failed, and where needed groups
        were given up.
        """
        try:
            self._start(stop)
            if not stop.is_set():
                ready()
                self._notify.ready()
            for group in self._groups:
                group.go()
            self._looked_s = time.monotonic()
            while not stop.is_set() and any(group.state != "finished" for group in self._groups):
                self._look_after()
            if errors := [group.error for group in self._groups if group.error]:
                raise UserError(errors[0])
        finally:
            self._notify.stopping()
            self._stop()

    def _start(self, stop: threading.Event) -> None:
        while not stop.is_set() and any(group.opening for group in self._groups):
            ready = self._wait()
            for group in self._groups:
                if reason := group.watch(ready, time.monotonic()):
                    raise UserError(f"group {group.name}: {reason}")

    def _look_after(self) -> None:
        self._notify.look({group.name: group.state for group in self._groups})
        ready = self._wait()
        now_s = time.monotonic()
        slept_s, self._looked_s = now_s - self._looked_s, now_s
        if slept_s > SLEPT_S:
            log.warning("everything stood still for %.0f s", slept_s)
            for group in self._groups:
                group.excuse(slept_s, now_s)
        for group in self._groups:
            if group.actor is None:
                if group.state in ("restarting", "waiting") and now_s >= group.again_s:
                    self._begin_again(group, now_s)
                continue
            opening = group.opening is not None
            if reason := group.watch(ready, now_s):
                group.fail(now_s)
                what = "given up" if group.state == "gave up" else "starting it again"
                log.warning("group %s: %s; %s", group.name, reason, what)
                self._tell_health(group)
            elif opening and group.opening is None:
                group.go()
        lost = [group.name for group in self._groups if group.state == "gave up"]
        if lost and (self._ends or len(lost) == len(self._groups)):
            raise UserError(f"{', '.join(lost)}: failed again and again, for the reasons above")
        if now_s - self._health_s >= STATUS_S:
            self._health_s = now_s
            self._tell_health(None)
            for group in self._groups:
                if group.state not in ("running", "finished"):
                    self._tell_health(group)
        self._crossing.look()
        for outlet in self._outlets:
            outlet.flush()

    def _begin_again(self, group: _Group, now_s: float) -> None:
        if is_here(group.plan.host):
            group.begin()
        elif group.state != "waiting":
            group.wait_for_host()
            log.warning("group %s: waits for host %s, which has left", group.name, group.plan.host)
        group.again_s = now_s + STATUS_S

    def _wait(self) -> set[Any]:
        """The references that are answered, after at most POLL_S."""
        references = [ref for group in self._groups for ref in group.references()]
        if not references:
            time.sleep(POLL_S)
            return set()
        ray.wait(references, num_returns=1, timeout=POLL_S)
        return set(ray.wait(references, num_returns=len(references), timeout=0)[0])

    def _tell_health(self, group: _Group | None) -> None:
        """Our own health, or that of a group which cannot tell it."""
        now_ns = time.monotonic_ns()
        health = Health(
            stream=SUPERVISOR,
            seq=self._seq,
            epoch=0,
            t_start_ns=now_ns - round(STATUS_S * 1e9),
            t_end_ns=now_ns,
            group=group.name if group else "",
            state=group.state if group else "running",
            restarts=group.restarts if group else 0,
            pid=group.pid if group else os.getpid(),
            memory_bytes=0 if group else resident_bytes(),
            nodes={},
            edges={},
            host=group.plan.host if group else LOCAL,
        )
        self._seq += 1
        for outlet in self._outlets:
            outlet.put(f"{SUPERVISOR}/{HEALTH}", health)

    def _stop(self) -> None:
        silent = [group.name for group in self._groups if not group.actor or group.opening]
        stopping = {group.actor.stop.remote(silent): group for group in self._groups if group.actor}
        if stopping:
            ray.wait(list(stopping), num_returns=len(stopping), timeout=STOP_S)
        for group in stopping.values():
            group.kill()
        for outlet in self._outlets:
            outlet.close()
        self._crossing.close()
        self._context.destroy(linger=0)


def _outcome(reference: Any) -> str | None:
    """The error a call returned, or how its process ended."""
    try:
        error: str | None = ray.get(reference)
    except ray.exceptions.ActorDiedError:
        return "its process died"
    except ray.exceptions.RayError as error:
        return str(error).splitlines()[0]
    return error
