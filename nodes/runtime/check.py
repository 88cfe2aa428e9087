"""A graph held against the classes of its nodes: classes, ports, options and their types, and no cycle."""

import importlib
import inspect
import sys
import typing
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

import nodes
from nodes.runtime.graph import BOUNDS, LOCAL, Graph, GroupSpec, NodeSpec, is_id, plain, suggest
from nodes.runtime.node import Node

NO_HOSTS = {"memory", "object_store_memory", "cpu", "gpu"}
"""Ray's own names for what a host has."""


def check(graph: Graph) -> Graph:
    """The graph with producers before consumers and options of the types their classes want, or UserError."""
    classes = {id: _class(graph, spec) for id, spec in graph.nodes.items()}
    for spec in graph.nodes.values():
        for source in spec.inputs:
            where = f"nodes.{spec.id}.inputs"
            given, taken = classes[source.node].outputs, classes[spec.id].inputs
            if source.port not in given:
                known = [f"{source.node}/{port}" for port in given]
                raise graph.error(
                    source.line,
                    f"{where}: {source.node} gives no '{source.port}'{suggest(source.route, known)}",
                )
            if source.port not in taken:
                raise graph.error(
                    source.line, f"{where}: {spec.id} takes no '{source.port}'{suggest(source.port, taken)}"
                )
    for name, group in graph.groups.items():
        if group.runs_on != LOCAL:
            _check_host(graph, name, group)
        for port in group.edges:
            if port not in BOUNDS:
                raise graph.error(group.line, f"groups.{name}.edges: no port '{port}'{suggest(port, BOUNDS)}")
    try:
        order = list(
            TopologicalSorter(
                {id: [i.node for i in spec.inputs] for id, spec in graph.nodes.items()}
            ).static_order()
        )
    except CycleError as error:
        loop = list(reversed(error.args[1]))
        raise graph.error(graph.nodes[loop[0]].line, f"nodes: a cycle, {' -> '.join(loop)}") from None
    specs = {id: _with_options(graph, graph.nodes[id], classes[id]) for id in order}
    used = {spec.group for spec in specs.values()}
    return replace(graph, nodes=specs, groups={n: g for n, g in graph.groups.items() if n in used})


def _check_host(graph: Graph, name: str, group: GroupSpec) -> None:
    where, host = f"groups.{name}.runs_on", group.runs_on
    if not is_id(host) or host in NO_HOSTS:
        raise graph.error(
            group.line, f"{where}: '{host}': a host's name is at most 32 of small letters, digits, '-', '_'"
        )
    if graph.cluster is None:
        raise graph.error(
            group.line,
            f"{where}: '{host}' is another host, and this one does not say where they meet; add `cluster:"
            " {address: ADDRESS OF THIS HOST, keys: keys}`, or start with --cluster ADDRESS",
        )
    if not graph.cluster.keys:
        raise graph.error(
            graph.cluster.line or group.line,
            "cluster: hosts meet only with keys; make them with `python launch.py keys`, set `keys: keys`"
            " beside the address (or give --keys keys), and copy keys/hosts to every host",
        )


def find_class(kind: str) -> type[Node]:
    """The class that ``folder/file`` or ``module:Class`` stands for; ImportError, AttributeError if none."""
    module, name = _module_and_class(kind)
    found: type[Node] = getattr(importlib.import_module(module), name)
    return found


def _module_and_class(kind: str) -> tuple[str, str]:
    """``perception/face`` is the class Face of nodes.perception.face."""
    module, colon, name = kind.partition(":")
    if colon:
        return module, name
    return "nodes." + kind.replace("/", "."), _class_name(kind.rpartition("/")[2])


def _class_name(file: str) -> str:
    return "".join(part.capitalize() for part in file.split("_"))


def _class(graph: Graph, spec: NodeSpec) -> type[Node]:
    where = f"nodes.{spec.id}.node"
    module, name = _module_and_class(spec.kind)
    try:
        kind = find_class(spec.kind)
    except ModuleNotFoundError as error:
        if error.name and not module.startswith(error.name):
            wrong = f"'{spec.kind}' needs the package '{error.name}'"
        elif ":" in spec.kind:
            wrong = f"no module '{module}'; it must be importable from here"
        else:
            wrong = f"no node '{spec.kind}'{suggest(spec.kind, _kinds())}"
        raise graph.error(spec.line, f"{where}: {wrong}") from None
    except AttributeError:
        known = [key for key, value in vars(sys.modules[module]).items() if isinstance(value, type)]
        raise graph.error(
            spec.line, f"{where}: no class '{name}' in {module}{suggest(name, known)}"
        ) from None
    except Exception as error:  # importing somebody's file can fail in any way: say which file
        raise graph.error(spec.line, f"{where}: '{spec.kind}' cannot be imported: {error}") from None
    for needed in ("inputs", "outputs", "open", "step", "close"):
        if not hasattr(kind, needed):
            raise graph.error(spec.line, f"{where}: '{spec.kind}' is no node: it has no '{needed}'")
    return kind


def _kinds() -> list[str]:
    """Every ``folder/file`` under nodes/ that holds a node."""
    root = Path(nodes.__path__[0])
    found = []
    for folder in ("sources", "perception", "outputs"):
        for file in sorted((root / folder).glob("*.py")):
            text = file.read_text(encoding="utf-8")
            if f"class {_class_name(file.stem)}:" in text and " inputs: ClassVar" in text:
                found.append(f"{folder}/{file.stem}")
    return found


def _with_options(graph: Graph, spec: NodeSpec, kind: type[Node]) -> NodeSpec:
    where = f"nodes.{spec.id}.with"
    parameters = {
        name: parameter
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    hints = typing.get_type_hints(kind.__init__)
    options: dict[str, Any] = {}
    for name, value in spec.options.items():
        line = spec.lines.get(name, spec.line)
        if name not in parameters:
            raise graph.error(line, f"{where}: unknown key '{name}'{suggest(name, parameters)}")
        try:
            options[name] = msgspec.convert(value, hints.get(name, Any))
        except msgspec.ValidationError as error:
            raise graph.error(line, f"{where}.{name}: {plain(error)}") from None
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in options:
            raise graph.error(spec.line, f"{where}: '{name}' is needed")
    return replace(spec, options=options)
