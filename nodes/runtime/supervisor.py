"""Starts the groups, watches them, starts a dead or hung one again with back-off, and stops them all."""

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq

from nodes.runtime.cluster import ray
from nodes.runtime.crossing import Crossing
from nodes.runtime.edge import Outlet
from nodes.runtime.errors import UserError
from nodes.runtime.graph import HEALTH, LOCAL, SUPERVISOR
from nodes.runtime.group import STATUS_S, Group
from nodes.runtime.hosts import is_here
from nodes.runtime.memory import resident_bytes
from nodes.runtime.messages import Health
from nodes.runtime.notify import Notify
from nodes.runtime.plan import Plan
from nodes.runtime.stillness import TURN_S

log = logging.getLogger(__name__)

STOP_S = 1.0  # for what was heard to be told to its end, and for devices to be let go
SLEPT_S = 2.0  # we ourselves have not looked for this long: stopped, or the machine was, and so was everybody


class Supervisor:
    """``run`` is the life of a pipeline; Ray is running already.

    keys: folder of the hosts' keys, where groups run on several.
    """

    def __init__(self, plan: Plan, notify: Notify | None = None, keys: Path | None = None) -> None:
        self._notify = notify or Notify({})
        self._ends = plan.ends
        self._groups = [Group(group) for group in plan.groups.values()]
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
                if reason := group.watch(ready, time.monotonic(), TURN_S):
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
            if group.actor is not None:
                self._watch(group, ready, now_s, slept_s)
            if group.actor is None and group.state in ("restarting", "waiting") and now_s >= group.again_s:
                self._begin_again(group, now_s)
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

    def _watch(self, group: Group, ready: set[Any], now_s: float, turn_s: float) -> None:
        opening = group.opening is not None
        if reason := group.watch(ready, now_s, turn_s):
            group.fail(now_s)
            what = "given up" if group.state == "gave up" else "starting it again"
            log.warning("group %s: %s; %s", group.name, reason, what)
            self._tell_health(group)
        elif opening and group.opening is None:
            group.go()

    def _begin_again(self, group: Group, now_s: float) -> None:
        if is_here(group.plan.host):
            group.begin()
        elif group.state != "waiting":
            group.wait_for_host()
            log.warning("group %s: waits for host %s, which has left", group.name, group.plan.host)
        group.again_s = now_s + STATUS_S

    def _wait(self) -> set[Any]:
        """The references that are answered, after at most a turn."""
        references = [ref for group in self._groups for ref in group.references()]
        if not references:
            time.sleep(TURN_S)
            return set()
        ray.wait(references, num_returns=1, timeout=TURN_S)
        return set(ray.wait(references, num_returns=len(references), timeout=0)[0])

    def _tell_health(self, group: Group | None) -> None:
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
