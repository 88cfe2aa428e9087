"""A checked graph divided among its groups: which nodes each hosts, and the edges that join them."""

import logging
from collections.abc import Mapping

import msgspec

from nodes.runtime.check import find_class
from nodes.runtime.errors import UserError
from nodes.runtime.graph import BOUNDS, HEALTH, LOCAL, PORTS, SUPERVISOR, Bound, Graph, NodeSpec

log = logging.getLogger(__name__)

EDGE_PORTS = 40
"""From this one on of a host's ports are for edges and clocks; Ray has those before (``cluster``)."""

FOLDER = "RUN"
"""In an address: the folder for sockets on the host where the group comes to run."""


class Edge(msgspec.Struct, frozen=True):
    """All that goes from one group to another.

    routes: for each ``node/port`` that goes over it, the nodes that take it there.
    bounds: the same keys.  wait: nothing is dropped, a full edge stops the sources before it.
    hosts: where the two groups run.  clock: where the source's host answers what time it is; "" where times
    stay as they are.
    """

    source: str
    target: str
    address: str
    routes: dict[str, tuple[str, ...]]
    bounds: dict[str, Bound]
    wait: bool
    hosts: tuple[str, str] = (LOCAL, LOCAL)
    clock: str = ""

    @property
    def crosses(self) -> bool:
        """Whether it leads from one host to another."""
        return self.hosts[0] != self.hosts[1]

    @property
    def carries_data(self) -> bool:
        """Whether it carries anything but health."""
        return any(not route.endswith(f"/{HEALTH}") for route in self.routes)


class GroupPlan(msgspec.Struct, frozen=True):
    """What one process hosts.  nodes: producers first.  local: who takes each ``node/port`` in it.

    host: where it runs.  memory_mb: the most it may hold.
    """

    group: str
    nodes: tuple[NodeSpec, ...]
    local: dict[str, tuple[str, ...]]
    outgoing: tuple[Edge, ...]
    incoming: tuple[Edge, ...]
    live: bool
    memory_mb: int
    host: str = LOCAL


class Plan(msgspec.Struct, frozen=True):
    """supervisor: the edges by which it tells its health.  ends: a file is read, and the run ends with it."""

    groups: dict[str, GroupPlan]
    supervisor: tuple[Edge, ...]
    ends: bool


def plan(graph: Graph, folder: str, live: bool, addresses: Mapping[str, str] | None = None) -> Plan:
    """folder: where the sockets lie; its path is short.  live: whether all goes by the clock and may drop.

    addresses: of each host by name, where there are others.
    An edge also leads from every group to each group that hears of health.
    """
    classes = {id: find_class(spec.kind) for id, spec in graph.nodes.items()}
    crossing: dict[tuple[str, str], dict[str, list[str]]] = {}

    def cross(source: str, target: str, route: str, node: str) -> None:
        crossing.setdefault((source, target), {}).setdefault(route, []).append(node)

    for spec in graph.nodes.values():
        for taken in spec.inputs:
            cross(graph.nodes[taken.node].group, spec.group, taken.route, spec.id)
        if HEALTH in classes[spec.id].inputs:
            for name in [*graph.groups, SUPERVISOR]:
                cross(name, spec.group, f"{name}/{HEALTH}", spec.id)
    runs_on = {SUPERVISOR: LOCAL} | {name: group.runs_on for name, group in graph.groups.items()}
    endpoints = _Endpoints(graph, folder, addresses or {})
    edges = [
        Edge(
            source=source,
            target=target,
            address=endpoints.edge(source, target, (runs_on[source], runs_on[target])),
            routes={route: tuple(nodes) for route, nodes in routes.items()},
            bounds={route: _bound(graph, source, route) for route in routes},
            wait=not live,
            hosts=(runs_on[source], runs_on[target]),
            clock=endpoints.clock(source, runs_on[source])
            if live and runs_on[source] != runs_on[target]
            else "",
        )
        for (source, target), routes in crossing.items()
        if source != target
    ]
    for edge in edges:
        _tell_of_pictures(graph, edge)
    groups = {
        name: GroupPlan(
            group=name,
            nodes=tuple(spec for spec in graph.nodes.values() if spec.group == name),
            local={route: tuple(nodes) for route, nodes in crossing.get((name, name), {}).items()},
            outgoing=tuple(edge for edge in edges if edge.source == name),
            incoming=tuple(edge for edge in edges if edge.target == name),
            live=live,
            memory_mb=graph.groups[name].memory_mb,
            host=runs_on[name],
        )
        for name in graph.groups
    }
    to_supervise = tuple(edge for edge in edges if edge.source == SUPERVISOR)
    return Plan(groups, to_supervise, ends=any(hasattr(kind, "finished") for kind in classes.values()))


def _bound(graph: Graph, group: str, route: str) -> Bound:
    port = route.partition("/")[2]
    own = graph.groups[group].edges if group in graph.groups else {}
    return own.get(port) or BOUNDS[port]


class _Endpoints:
    """Gives out addresses: of this run's folder within a host, between hosts the ports from EDGE_PORTS on."""

    def __init__(self, graph: Graph, folder: str, addresses: Mapping[str, str]) -> None:
        self._folder = folder
        self._addresses = addresses
        self._first = graph.cluster.port + EDGE_PORTS if graph.cluster else 0
        self._given: dict[tuple[str, ...], str] = {}

    def edge(self, source: str, target: str, hosts: tuple[str, str]) -> str:
        if hosts[0] != hosts[1]:
            return self._port("tcp", hosts[0], (source, target))
        return f"ipc://{self._folder if hosts[0] == LOCAL else FOLDER}/{source}-{target}"

    def clock(self, source: str, host: str) -> str:
        return self._port("udp", host, (source,))

    def _port(self, protocol: str, host: str, what: tuple[str, ...]) -> str:
        if what not in self._given:
            if len(self._given) == PORTS - EDGE_PORTS:
                raise UserError(
                    f"more than {PORTS - EDGE_PORTS} edges and clocks between hosts; put nodes that hear each"
                    " other into one group"
                )
            address = self._addresses[host]
            address = f"[{address}]" if ":" in address else address
            self._given[what] = f"{protocol}://{address}:{self._first + len(self._given)}"
        return self._given[what]


def _tell_of_pictures(graph: Graph, edge: Edge) -> None:
    for route, nodes in edge.routes.items():
        if edge.crosses and route.endswith("/picture"):
            group = graph.nodes[route.partition("/")[0]].group
            log.warning(
                "%s goes from host %s to host %s, 23 MB/s at 640x480; put %s into group %s to send faces",
                route,
                *edge.hosts,
                " and ".join(nodes),
                group,
            )
