"""Changes to a graph that a flag asks for: a file in place of the devices, one sense left out, another
device."""

from typing import Any

from msgspec.structs import replace

from nodes.runtime.endpoint import parse_endpoint
from nodes.runtime.graph import ClusterSpec, Graph, GroupSpec, Input, NodeSpec

RECORDER = "outputs/record"
REPLAY = "replay"


def without(graph: Graph, port: str) -> Graph:
    """The graph with nothing listening to ``port`` of a source, and without whatever then has nothing to do.

    A node at the end of the graph stays even when it hears nothing any more, to tell the world just that.
    """
    sources = _sources(graph)
    ends = set(graph.nodes) - _heard(graph.nodes)
    nodes = {
        id: replace(spec, inputs=tuple(i for i in spec.inputs if i.port != port or i.node not in sources))
        for id, spec in graph.nodes.items()
    }
    while True:
        heard = _heard(nodes)
        idle = {
            id for id in nodes if id not in ends and not (id in heard if id in sources else nodes[id].inputs)
        }
        if not idle:
            return replace(graph, nodes=nodes)
        nodes = {
            id: replace(spec, inputs=tuple(i for i in spec.inputs if i.node not in idle))
            for id, spec in nodes.items()
            if id not in idle
        }


def replace_sources(graph: Graph, id: str, kind: str, options: dict[str, Any]) -> Graph:
    """The graph with one source, ``id``, in place of all: port p of any of them is now ``id/p``."""
    sources = _sources(graph)
    if not sources:
        raise graph.error(
            1, "no node gives others what they need, so there is no source that a file could replace"
        )
    if id in graph.nodes and id not in sources:
        raise graph.error(graph.nodes[id].line, f"nodes.{id}: a file's source has this id; choose another")
    group = next(spec.group for id, spec in graph.nodes.items() if id in sources)
    nodes = {id: NodeSpec(id=id, kind=kind, group=group, options=options)}
    for other, spec in graph.nodes.items():
        if other not in sources:
            inputs = (Input(id, i.port, i.line) if i.node in sources else i for i in spec.inputs)
            nodes[other] = replace(spec, inputs=tuple({i.route: i for i in inputs}.values()))
    return replace(graph, nodes=nodes)


def with_recorder(graph: Graph, folder: str) -> Graph:
    """The graph recording to ``folder``, in a group of its own: what sources give, what is published."""
    if any(spec.kind == RECORDER for spec in graph.nodes.values()):
        return with_option(graph, RECORDER, "folder", folder)
    sources = _sources(graph)
    heard = [i for spec in graph.nodes.values() for i in spec.inputs if i.node in sources]
    return _with_end(graph, "record", RECORDER, {"folder": folder}, heard)


def for_replay(graph: Graph, path: str, speed: float, ports: frozenset[str], unix_offset_ns: int) -> Graph:
    """The graph playing the recording at ``path``, so that it says the same every time.

    All nodes are in one group, where messages come in the order of the recording; the processor computes,
    for a GPU takes over whenever it is ready.  ports: those of "audio" and "picture" that are in it.
    """
    graph = replace(graph, nodes={id: spec for id, spec in graph.nodes.items() if spec.kind != RECORDER})
    for port in {"audio", "picture"} - ports:
        graph = without(graph, port)
    graph = _playing(graph, {"path": path, "speed": speed})
    fixed: dict[str, dict[str, Any]] = {
        "outputs/publish": {"unix_offset_ns": unix_offset_ns},
        "perception/transcribe": {"backend": "onnxruntime"},
    }
    nodes = {
        id: replace(spec, options={**spec.options, **fixed.get(spec.kind, {})})
        for id, spec in graph.nodes.items()
    }
    return in_one_group(replace(graph, nodes=nodes))


def _playing(graph: Graph, options: dict[str, Any]) -> Graph:
    """The graph with a recording in place of all sources; of several for a port each has its own stream."""
    sources = _sources(graph)
    heard = {i.route: i for spec in graph.nodes.values() for i in spec.inputs if i.node in sources}
    channels = {
        id: NodeSpec(
            id=id,
            kind="sources/channel",
            group=graph.nodes[id].group,
            inputs=tuple(Input("recording", i.port) for i in heard.values() if i.node == id),
            options={"stream": id},
        )
        for id in sources
    }
    played = replace_sources(graph, "recording", "sources/recording", options)
    if len({i.port for i in heard.values()}) == len(heard):
        return played
    nodes = {"recording": played.nodes["recording"], **graph.nodes, **channels}
    return replace(graph, nodes=nodes)


def in_one_group(graph: Graph) -> Graph:
    """The graph with all nodes in the group ``replay``."""
    nodes = {id: replace(spec, group=REPLAY) for id, spec in graph.nodes.items()}
    return replace(graph, nodes=nodes, groups={REPLAY: GroupSpec()})


def with_results(graph: Graph, path: str, unix_offset_ns: int) -> Graph:
    """The graph of a replay writing what is published to a file as well."""
    options = {"path": path, "unix_offset_ns": unix_offset_ns}
    return _with_end(graph, "results", "outputs/results", options, [], group=REPLAY)


def _with_end(
    graph: Graph, id: str, kind: str, options: dict[str, Any], heard: list[Input], group: str = ""
) -> Graph:
    """One more node at the end, which hears what is published, and ``heard``."""
    if id in graph.nodes or (not group and id in graph.groups):
        raise graph.error(
            1, f"'{id}' is taken in nodes or groups, so nothing can be added under it; rename it"
        )
    published = [i for spec in graph.nodes.values() if spec.kind == "outputs/publish" for i in spec.inputs]
    inputs = tuple({i.route: i for i in (*heard, *published)}.values())
    spec = NodeSpec(id=id, kind=kind, group=group or id, inputs=inputs, options=options)
    groups = {**graph.groups, spec.group: graph.groups.get(spec.group, GroupSpec())}
    return replace(graph, nodes={**graph.nodes, id: spec}, groups=groups)


def with_option(graph: Graph, kind: str, option: str, value: Any) -> Graph:
    """The graph with ``option`` of every node of ``kind`` set to ``value``; UserError where there is none."""
    if not any(spec.kind == kind for spec in graph.nodes.values()):
        raise graph.error(1, f"no node is a {kind}, so its {option} cannot be set to {value!r}")
    nodes = {
        id: replace(spec, options={**spec.options, option: value}) if spec.kind == kind else spec
        for id, spec in graph.nodes.items()
    }
    return replace(graph, nodes=nodes)


def with_cluster(graph: Graph, where: str | None, keys: str | None) -> Graph:
    """The graph whose hosts meet at ``where`` (ADDRESS or ADDRESS:PORT), with the keys in folder ``keys``."""
    cluster = graph.cluster
    if where is not None:
        address, port = parse_endpoint(where)
        cluster = ClusterSpec(address, port, cluster.keys if cluster else "")
    if cluster is None:
        raise graph.error(1, "--keys is for a cluster; add --cluster ADDRESS")
    return replace(graph, cluster=replace(cluster, keys=cluster.keys if keys is None else keys))


def _sources(graph: Graph) -> set[str]:
    return {id for id, spec in graph.nodes.items() if not spec.inputs} & _heard(graph.nodes)


def _heard(nodes: dict[str, NodeSpec]) -> set[str]:
    return {i.node for spec in nodes.values() for i in spec.inputs}
