"""What one process needs for its edges to other hosts: the link with its keys, and the clocks."""

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
            self._answerers[edge.clock] = Answerer(self._context, link, edge.clock)

    def asker_for(self, edge: Edge) -> Asker | None:
        """The clock of the host that ``edge`` comes from; None where times stay as they are."""
        link = self.link_for(edge)
        if not (link and edge.clock):
            return None
        if edge.clock not in self._askers:
            self._askers[edge.clock] = Asker(self._context, link, edge.hosts[0], edge.clock)
        return self._askers[edge.clock]

    def look(self) -> None:
        """Lets other hosts in; to be called often, never waits."""
        if self._link is not None:
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
