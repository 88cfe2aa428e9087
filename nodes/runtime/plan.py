"""A checked graph divided among its groups: which nodes each hosts, and the edges that join them."""

import msgspec

from nodes.runtime.check import find_class
from nodes.runtime.graph import BOUNDS, HEALTH, SUPERVISOR, Bound, Graph, NodeSpec


class Edge(msgspec.Struct, frozen=True):
    """All that goes from one group to another.

    routes: for each ``node/port`` that crosses, the nodes that take it there.
    bounds: the same keys.  wait: nothing is dropped, a full edge stops the sources before it.
    """

    source: str
    target: str
    address: str
    routes: dict[str, tuple[str, ...]]
    bounds: dict[str, Bound]
    wait: bool

    @property
    def carries_data(self) -> bool:
        """Whether it carries anything but health."""
        return any(not route.endswith(f"/{HEALTH}") for route in self.routes)


class GroupPlan(msgspec.Struct, frozen=True):
    """What one process hosts.  nodes: producers first.  local: who takes each ``node/port`` in it.

    memory_mb: the most it may hold.
    """

    group: str
    nodes: tuple[NodeSpec, ...]
    local: dict[str, tuple[str, ...]]
    outgoing: tuple[Edge, ...]
    incoming: tuple[Edge, ...]
    live: bool
    memory_mb: int


class Plan(msgspec.Struct, frozen=True):
    """supervisor: the edges by which it tells its health.  ends: a file is read, and the run ends with it."""

    groups: dict[str, GroupPlan]
    supervisor: tuple[Edge, ...]
    ends: bool


def plan(graph: Graph, folder: str, live: bool) -> Plan:
    """folder: where the sockets lie; its path is short.  live: whether all goes by the clock and may drop.

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
    edges = [
        Edge(
            source=source,
            target=target,
            address=f"ipc://{folder}/{source}-{target}",
            routes={route: tuple(nodes) for route, nodes in routes.items()},
            bounds={route: _bound(graph, source, route) for route in routes},
            wait=not live,
        )
        for (source, target), routes in crossing.items()
        if source != target
    ]
    groups = {
        name: GroupPlan(
            group=name,
            nodes=tuple(spec for spec in graph.nodes.values() if spec.group == name),
            local={route: tuple(nodes) for route, nodes in crossing.get((name, name), {}).items()},
            outgoing=tuple(edge for edge in edges if edge.source == name),
            incoming=tuple(edge for edge in edges if edge.target == name),
            live=live,
            memory_mb=graph.groups[name].memory_mb,
        )
        for name in graph.groups
    }
    to_supervise = tuple(edge for edge in edges if edge.source == SUPERVISOR)
    return Plan(groups, to_supervise, ends=any(hasattr(kind, "finished") for kind in classes.values()))


def _bound(graph: Graph, group: str, route: str) -> Bound:
    port = route.partition("/")[2]
    own = graph.groups[group].edges if group in graph.groups else {}
    return own.get(port) or BOUNDS[port]
