"""Changes to a graph that a flag asks for: a file in place of the devices, one sense left out, another
device."""

from typing import Any

from msgspec.structs import replace

from nodes.runtime.graph import Graph, Input, NodeSpec


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


def replace_sources(graph: Graph, kind: str, options: dict[str, Any]) -> Graph:
    """The graph with one source, ``media``, in place of all: port p of any of them is now ``media/p``."""
    sources = _sources(graph)
    if not sources:
        raise graph.error(
            1, "no node gives others what they need, so there is no source that a file could replace"
        )
    if "media" in graph.nodes and "media" not in sources:
        raise graph.error(
            graph.nodes["media"].line, "nodes.media: a file's source has this id; choose another"
        )
    group = next(spec.group for id, spec in graph.nodes.items() if id in sources)
    nodes = {"media": NodeSpec(id="media", kind=kind, group=group, options=options)}
    for id, spec in graph.nodes.items():
        if id not in sources:
            inputs = (Input("media", i.port, i.line) if i.node in sources else i for i in spec.inputs)
            nodes[id] = replace(spec, inputs=tuple({i.route: i for i in inputs}.values()))
    return replace(graph, nodes=nodes)


def with_option(graph: Graph, kind: str, option: str, value: Any) -> Graph:
    """The graph with ``option`` of every node of ``kind`` set to ``value``; UserError where there is none."""
    if not any(spec.kind == kind for spec in graph.nodes.values()):
        raise graph.error(1, f"no node is a {kind}, so its {option} cannot be set to {value!r}")
    nodes = {
        id: replace(spec, options={**spec.options, option: value}) if spec.kind == kind else spec
        for id, spec in graph.nodes.items()
    }
    return replace(graph, nodes=nodes)


def _sources(graph: Graph) -> set[str]:
    return {id for id, spec in graph.nodes.items() if not spec.inputs} & _heard(graph.nodes)


def _heard(nodes: dict[str, NodeSpec]) -> set[str]:
    return {i.node for spec in nodes.values() for i in spec.inputs}
