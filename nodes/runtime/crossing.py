"""What one process needs for its edges to other hosts: the link with its keys, the clocks, signs of life."""

from pathlib import Path

import zmq

from nodes.runtime.exchange import Answerer, Asker
from nodes.runtime.link import Link
from nodes.runtime.plan import Edge


class Crossing:
    """keys: folder of the hosts' keys.  Raises UserError where an edge needs them and there are none."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], keys: Path | None) -> None:
        self._context = context
        self._keys = keys
        self._link: Link | None = None
        self._answerers: dict[str, Answerer] = {}
        self._askers: dict[str, Asker] = {}
        self._far: dict[tuple[str, str], list[Asker]] = {}

    def link_for(self, edge: Edge) -> Link | None:
        """None where the edge stays on this host."""
        if not edge.crosses:
            return None
        if self._link is None:
            self._link = Link(self._context, self._keys)
        return self._link

    def answer_for(self, edge: Edge) -> None:
        """Whoever receives what goes over ``edge`` can ask what time it is here."""
        link = self.link_for(edge)
        if link and edge.clock and edge.clock not in self._answerers:
            self._answerers[edge.clock] = Answerer(link, edge.clock)

    def asker_for(self, edge: Edge) -> Asker | None:
        """The clock of the host that ``edge`` comes from; None where times stay as they are."""
        link = self.link_for(edge)
        if not (link and edge.clock):
            return None
        if edge.clock not in self._askers:
            self._askers[edge.clock] = Asker(link, edge.hosts[0], edge.clock)
        asker = self._askers[edge.clock]
        for route, nodes in edge.routes.items():
            for node in nodes:
                self._far.setdefault((node, route.partition("/")[2]), []).append(asker)
        return asker

    def silent_ns(self, node: str, port: str) -> int | None:
        """For how long a host that ``port`` of ``node`` comes from has given no sign of life.

        None where it comes from this host, or its times stay as they are.
        """
        return min((asker.silent_ns for asker in self._far.get((node, port), ())), default=None)

    def look(self) -> None:
        """Lets other hosts in; to be called often, never waits."""
        if self._link is None:
            return
        for answerer in self._answerers.values():
            while answerer.refused:
                self._link.guard.refuse(f"{answerer.refused.popleft()}, who asks the time without the key")
        self._link.guard.look()

    def clocks(self, now_ns: int) -> dict[str, dict[str, float]]:
        """For ``Health.clocks``: of two groups of one host the one that is known better."""
        known = [(asker.host, report) for asker in self._askers.values() if (report := asker.report(now_ns))]
        known.sort(key=lambda one: -one[1]["uncertainty_ms"])
        return dict(known)

    def close(self) -> None:
        for asker in self._askers.values():
            asker.close()
        for answerer in self._answerers.values():
            answerer.close()
        if self._link is not None:
            self._link.close()
