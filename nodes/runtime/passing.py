"""The nodes of a group and what passes between them: who is stepped when, who takes what was made, and which
edges carry it on.

Where a file is read, messages are taken one at a time, each through all nodes of the group before the next:
how many happen to arrive together then changes nothing of what is made of them.
"""

import time
from collections.abc import Callable, Iterable
from functools import partial

from nodes.runtime.abreast import Abreast
from nodes.runtime.edge import Outlet
from nodes.runtime.graph import NodeSpec
from nodes.runtime.messages import Message
from nodes.runtime.node import Context
from nodes.runtime.plan import GroupPlan
from nodes.runtime.pulse import Pulse
from nodes.runtime.slot import Slot


class Passing:
    """``open`` opens the nodes but the sources, ``open_sources`` these, ``close`` all.

    ranks: ids in the order of stepping, those side by side together (``nodes.runtime.ranks``).
    context: makes that of a node, given how many are stepped abreast, and an epoch so far above the first.
    stopped: says whether the group is to stop.  made_ns: when a node last made something.
    """

    def __init__(
        self,
        plan: GroupPlan,
        ranks: list[list[str]],
        context: Callable[[NodeSpec, int, int], Context],
        pulse: Pulse,
        stopped: Callable[[], bool],
    ) -> None:
        self._plan, self._stopped = plan, stopped
        self.made_ns = 0
        abreast = {id: len(rank) for rank in ranks for id in rank}
        self.slots = [Slot(spec, partial(context, spec, abreast[spec.id]), pulse) for spec in plan.nodes]
        self.sources = [slot for slot in self.slots if slot.is_source]
        self._by_id = {slot.spec.id: slot for slot in self.slots}
        self._ranks = [[self._by_id[id] for id in rank] for rank in ranks]
        self._carriers: dict[str, list[Outlet]] = {}
        self._abreast: Abreast | None = None

    def carry(self, outlet: Outlet) -> None:
        """What is made for its routes goes there from now on."""
        for route in outlet.edge.routes:
            self._carriers.setdefault(route, []).append(outlet)

    def open(self) -> None:
        for slot in self.slots:
            if not slot.is_source:
                slot.open()
        if (most := max(map(len, self._ranks), default=0)) > 1:
            self._abreast = Abreast(f"abreast {self._plan.group}", most)

    def open_sources(self) -> None:
        for slot in self.sources:
            slot.open()

    def close(self) -> None:
        for slot in self.slots:
            slot.close()
        if self._abreast is not None:
            self._abreast.close()

    def hand(self, nodes: Iterable[str], message: Message) -> None:
        for id in nodes:
            self._by_id[id].inbox.append(message)

    def send(self, route: str, message: Message) -> None:
        """To whoever takes ``route``, in this group and beyond."""
        self.hand(self._plan.local.get(route, ()), message)
        for outlet in self._carriers.get(route, ()):
            outlet.put(route, message)

    def step(self, due: bool, held: bool) -> bool:
        """Steps the sources and whoever has been handed something, all nodes where ``due``.

        held: the sources wait.  True where a file that may be read as fast as it goes has just been read.
        """
        read = False
        for rank in self._ranks:
            ready = [each for each in rank if due or each.inbox or each.is_source]
            if held:
                ready = [each for each in ready if not each.is_source]
            now_ns = time.monotonic_ns()
            for slot, made in zip(ready, self._step_abreast(ready, now_ns), strict=True):
                if made:
                    self.made_ns = now_ns
                    read = read or slot.is_source
                for message in made:
                    self.send(f"{slot.spec.id}/{message.port}", message)
                    if slot.is_source and not self._plan.live:
                        self.pass_on()
                        if self._stopped():
                            return False
        return read and not self._plan.live

    def pass_on(self) -> None:
        """Where a file is read: what has been handed over goes through the nodes before more is."""
        if self._plan.live:
            return
        for slot in self.slots:
            if slot.inbox and not slot.is_source:
                made = slot.step(time.monotonic_ns())
                self.made_ns = time.monotonic_ns() if made else self.made_ns
                for message in made:
                    self.send(f"{slot.spec.id}/{message.port}", message)

    def flush(self) -> None:
        """Every node tells what it still has to tell."""
        for slot in self.slots:
            if not slot.is_source:
                for message in slot.flush(time.monotonic_ns()):
                    self.send(f"{slot.spec.id}/{message.port}", message)

    def _step_abreast(self, ready: list[Slot], now_ns: int) -> list[list[Message]]:
        if self._abreast is not None and len(ready) > 1:
            return self._abreast.run([partial(slot.step, now_ns) for slot in ready])
        return [slot.step(now_ns) for slot in ready]
