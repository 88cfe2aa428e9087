"""Runs the nodes of one group in one thread: inside, messages pass by reference, outside over edges."""

import logging
import os
import socket
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from functools import partial
from pathlib import Path

import zmq

from nodes.runtime.crossing import Crossing
from nodes.runtime.edge import Inlet, Outlet
from nodes.runtime.errors import UserError
from nodes.runtime.graph import HEALTH, NodeSpec
from nodes.runtime.memory import resident_bytes
from nodes.runtime.messages import Health
from nodes.runtime.node import Context
from nodes.runtime.passing import Passing
from nodes.runtime.plan import GroupPlan
from nodes.runtime.pulse import Pulse
from nodes.runtime.ranks import ranks

log = logging.getLogger(__name__)

TICK_NS = 20_000_000
HEALTH_NS = 1_000_000_000
QUIET_NS = 300_000_000  # nothing made for this long after all input ended: nothing more will be
DRAIN_NS = 1_000_000_000  # and this long after it ends whatever is still being made
HAND_ON_NS = 400_000_000  # once stopped, so long is waited for what other groups still have to tell,
LAST_NS = 700_000_000  # and so long by those that hand nothing on
CLOSE_S = 1.5


class GroupHost:
    """The life of a group: ``start`` opens its nodes, ``go`` opens its sources too, ``stop`` closes all.

    epoch: the first its nodes may use.  restarts: how often the group was started before.
    keys: folder of the keys for edges to other hosts, where there are such edges.
    pulse: by which others see that the loop comes round.
    Everything happens in one thread of its own, but for nodes that are stepped side by side; the methods may
    be called from any other.
    """

    def __init__(
        self,
        plan: GroupPlan,
        epoch: int = 0,
        restarts: int = 0,
        keys: Path | None = None,
        pulse: Pulse | None = None,
    ) -> None:
        self.plan = plan
        self.keys = keys
        self.epoch = epoch
        self.restarts = restarts
        self.state = "starting"
        self.pulse = pulse or Pulse()
        self.error: str | None = None
        self._opened = threading.Event()
        self._go = threading.Event()
        self._stop = threading.Event()
        self._silent: frozenset[str] = frozenset()
        self._waker, self._woken = socket.socketpair()
        self._waker.setblocking(False)
        self._woken.setblocking(False)
        self._ranks = ranks(plan)
        self._inlets: list[Inlet] = []
        self._outlets: list[Outlet] = []
        self._ended_ns: int | None = None
        self._health_seq = 0
        self._thread = threading.Thread(target=self._run, name=f"group {plan.group}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wait_open(self, timeout: float) -> None:
        """Returns once every node but the sources is open.  Raises UserError where one cannot be opened."""
        if not self._opened.wait(timeout):
            raise UserError(f"group {self.plan.group}: not open after {timeout:.0f} s")
        if self.error:
            raise UserError(self.error)

    def go(self) -> None:
        """Let the sources begin: whoever listens to them is ready."""
        self._go.set()
        self.wake()

    def stop(self, silent: Collection[str] = ()) -> None:
        """Sources give no more; what they have given is handed on, told to its end, and all is closed.

        silent: groups that have no process now, so nothing is to be waited for from them.
        Returns when done, or after 1.5 s if a node will not close.
        """
        self._silent = frozenset(silent)
        self._stop.set()
        self._go.set()
        self.wake()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)

    def join(self) -> None:
        """Returns when the group has stopped."""
        self._thread.join()

    def wake(self) -> None:
        with suppress(OSError):  # full: it is going to wake anyway; closed: it has nothing left to do
            self._waker.send(b"\0")

    def _context(self, spec: NodeSpec, abreast: int, epochs: int) -> Context:
        return Context(
            name=spec.id,
            epoch=self.epoch + epochs,
            live=self.plan.live,
            wired=frozenset(taken.port for taken in spec.inputs),
            abreast=abreast,
            silent_ns=partial(self._crossing.silent_ns, spec.id),
            wake=self.wake,
        )

    def _run(self) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._crossing = Crossing(context, self.keys)
        self._passing = Passing(self.plan, self._ranks, self._context, self.pulse, self._stop.is_set)
        self.pulse.rest()
        self.pulse.announce(threading.get_native_id())
        try:
            self._open(context)
            self._opened.set()
            self._go.wait()
            if not self._stop.is_set():
                self.pulse.beat()
                self._passing.open_sources()
                self.state = "running"
                self._loop()
            self._hand_on()
        except UserError as error:
            self.error = str(error)
        except Exception as error:
            log.debug("group %s", self.plan.group, exc_info=True)
            self.error = f"group {self.plan.group}: {type(error).__name__}: {error}"
        finally:
            self._opened.set()
            self._passing.close()
            for inlet in self._inlets:
                inlet.close()
            for outlet in self._outlets:
                outlet.close()
            self._crossing.close()
            context.destroy(linger=0)
            self._waker.close()
            self._woken.close()
            self.state = "finished" if self.state == "finished" else "stopped"

    def _open(self, context: "zmq.Context[zmq.Socket[bytes]]") -> None:
        crossing = self._crossing
        for edge in self.plan.outgoing:
            outlet = Outlet(edge, context, crossing.link_for(edge))
            self._outlets.append(outlet)
            self._passing.carry(outlet)
            crossing.answer_for(edge)
        for edge in self.plan.incoming:
            self._inlets.append(Inlet(edge, context, crossing.link_for(edge), crossing.asker_for(edge)))
        self._passing.open()

    def _loop(self) -> None:
        poller = zmq.Poller()
        poller.register(self._woken, zmq.POLLIN)
        watched: dict[zmq.Socket[bytes], int] = {}
        tick_ns = health_ns = time.monotonic_ns()
        busy = False
        while not self._stop.is_set():
            # A full edge that must not drop stops the sources here, and in turn the groups before this one.
            held = any(outlet.full for outlet in self._outlets)
            wanted = {inlet.socket: 0 if held or not inlet.ready else zmq.POLLIN for inlet in self._inlets}
            wanted |= {outlet.socket: zmq.POLLOUT if outlet.queued else 0 for outlet in self._outlets}
            for sock, events in wanted.items():
                if watched.get(sock) != events:
                    poller.register(sock, events)
            watched = wanted
            self.pulse.beat()
            now_ns = time.monotonic_ns()
            wait_ms = 0 if busy and not held else max(0, tick_ns - now_ns + 999_999) // 1_000_000
            ready = dict(poller.poll(wait_ms))
            self._crossing.look()
            for inlet in self._inlets:
                inlet.look()
            if self._woken.fileno() in ready:
                self._woken.recv(4096)
            for inlet in self._inlets:
                if ready.get(inlet.socket, 0) & zmq.POLLIN:
                    for nodes, message in inlet.receive() if self.plan.live else inlet.receive(1):
                        self._passing.hand(nodes, message)
                        self._passing.pass_on()
            now_ns = time.monotonic_ns()
            due = now_ns >= tick_ns
            if due:
                tick_ns = now_ns + TICK_NS
            busy = self._passing.step(due, held)
            if now_ns >= health_ns:
                health_ns = now_ns + HEALTH_NS
                self._tell_health()
            sent = [outlet.flush() for outlet in self._outlets]
            if due:
                self._check_end(now_ns, all(sent))

    def _hand_on(self) -> None:
        """The end of a run that is stopped: every group waits for the ends of those before it, lets its nodes
        tell what is still to be told, and says onwards that this was all.
        """
        onwards = [outlet for outlet in self._outlets if outlet.edge.carries_data]
        until_ns = time.monotonic_ns() + (HAND_ON_NS if onwards else LAST_NS)
        feeds = [i for i in self._inlets if i.edge.carries_data and i.edge.source not in self._silent]
        poller = zmq.Poller()
        for inlet in feeds:
            poller.register(inlet.socket, zmq.POLLIN)
        while not all(inlet.ended for inlet in feeds) and (left_ns := until_ns - time.monotonic_ns()) > 0:
            poller.poll(left_ns // 1_000_000)
            for inlet in feeds:
                for nodes, message in inlet.receive():
                    self._passing.hand(nodes, message)
            self._passing.step(due=False, held=True)
            for outlet in self._outlets:
                outlet.flush()
        self._passing.flush()
        unsent = [outlet for outlet in onwards if outlet.edge.target not in self._silent]
        while unsent := [outlet for outlet in unsent if not (outlet.flush() and outlet.end())]:
            if time.monotonic_ns() > until_ns:
                return
            time.sleep(0.002)

    def _check_end(self, now_ns: int, sent: bool) -> None:
        """A group whose sources and inputs have all ended finishes when it is quiet and says so onwards."""
        sources = self._passing.sources
        feeds = [inlet for inlet in self._inlets if inlet.edge.carries_data]
        if not (sources or feeds) or not all(slot.finished for slot in sources):
            return
        if not all(inlet.ended for inlet in feeds):
            return
        self._ended_ns = self._ended_ns or now_ns
        quiet = now_ns - max(self._passing.made_ns, self._ended_ns) >= QUIET_NS
        for slot in sources:
            if slot.broken:
                self.error = f"{slot.spec.id}: {slot.state}"
        if sent and (quiet or now_ns - self._ended_ns >= DRAIN_NS):
            self.state = "finished"
            for outlet in self._outlets:
                outlet.end()

    def _tell_health(self) -> None:
        now_ns = time.monotonic_ns()
        health = Health(
            stream=self.plan.group,
            seq=self._health_seq,
            epoch=self.epoch,
            t_start_ns=now_ns - HEALTH_NS,
            t_end_ns=now_ns,
            group=self.plan.group,
            state=self.state,
            restarts=self.restarts,
            pid=os.getpid(),
            memory_bytes=resident_bytes(),
            nodes={slot.spec.id: slot.report() for slot in self._passing.slots},
            edges={name: lane for outlet in self._outlets for name, lane in outlet.report().items()},
            host=self.plan.host,
            clocks=self._crossing.clocks(now_ns),
        )
        self._health_seq += 1
        self._passing.send(f"{self.plan.group}/{HEALTH}", health)
