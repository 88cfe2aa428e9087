"""``pipeline.yaml`` read: which nodes there are, what each listens to, where each runs.

Three steps, so that a flag such as ``--no-microphone`` takes effect before the microphone's library is looked
for: ``parse`` here reads the file, ``rewire`` changes what was read, ``check`` holds it against the classes
of the nodes. Every mistake is one ``UserError``: ``pipeline.yaml:12: nodes.camera.with: unknown key 'devcie';
did you mean 'device'?``
"""

import difflib
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import yaml

from nodes.runtime.errors import UserError

LOCAL = "local"
FIRST_PORT = 20400
PORTS = 100
Positive = Annotated[int, msgspec.Meta(ge=1)]
_ID = re.compile(r"[a-z][a-z0-9_-]{0,31}")  # also the name of a socket, whose path must be short


def is_id(name: str) -> bool:
    """Whether ``name`` can be that of a node, a group or a host."""
    return bool(_ID.fullmatch(name))


class Input(msgspec.Struct, frozen=True):
    """What a node listens to: port ``port`` of node ``node``, written ``node/port``."""

    node: str
    port: str
    line: int = 0

    @property
    def route(self) -> str:
        return f"{self.node}/{self.port}"


class NodeSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One node of the file.  kind: ``folder/file`` or ``module:Class``.  lines: of its options."""

    id: str
    kind: str
    group: str
    inputs: tuple[Input, ...] = ()
    options: dict[str, Any] = {}
    line: int = 0
    lines: dict[str, int] = {}


class Bound(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The most that may wait on one edge for one port."""

    messages: Positive
    bytes: Positive


SUPERVISOR = "supervisor"
"""Not the name of a group: health comes under it from whoever watches them."""

HEALTH = "health"
"""The port nobody wires: a node that takes it hears the health of every group."""

MB = 1_000_000
BOUNDS = {
    "audio": Bound(1024, 500_000),  # 6 s in blocks of 20 ms: a group that was killed is back within 5
    "picture": Bound(5, 32 * MB),  # 0.2 s: an older picture has missed its sound
    "face": Bound(25, MB),
    "transcript": Bound(256, MB),
    "voice": Bound(256, MB),
    "sentiment": Bound(256, MB),
    HEALTH: Bound(16, MB),
}
"""The most that may wait on an edge for each port, where ``pipeline.yaml`` says nothing else."""


MEMORY_MB = 4000
"""The most that a group may hold where ``pipeline.yaml`` says nothing else: a leak shows long before."""


class GroupSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """runs_on: the host, by the name it joins as.  edges: bounds, by port, of what leaves the group.

    memory_mb: a group that holds more is started again.
    """

    runs_on: str = LOCAL
    edges: dict[str, Bound] = {}
    memory_mb: Positive = MEMORY_MB
    line: int = 0


Port = Annotated[int, msgspec.Meta(ge=1024, le=65535 - PORTS + 1)]


class ClusterSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where this host meets the others.

    address: its own, of the network they share.  port: the first of a hundred that each host uses.
    keys: a folder made by ``launch.py keys``, whose folder ``hosts`` all have.
    """

    address: str
    port: Port = FIRST_PORT
    keys: str = ""
    line: int = 0


class Graph(msgspec.Struct, frozen=True):
    """``nodes`` by id, in the order of the file (after ``check``: producers before consumers).

    cluster: None where everything runs on this host.
    """

    file: str
    nodes: dict[str, NodeSpec]
    groups: dict[str, GroupSpec]
    cluster: ClusterSpec | None = None

    @property
    def hosts(self) -> list[str]:
        """The other hosts that it needs."""
        return sorted({group.runs_on for group in self.groups.values()} - {LOCAL})

    def error(self, line: int, message: str) -> UserError:
        return UserError(f"{self.file}:{line}: {message}")


def suggest(word: str, known: Iterable[str]) -> str:
    """The end of an error line: what was probably meant, or else what there is."""
    known = sorted(known)
    near = difflib.get_close_matches(word, known, 1)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; it can be {', '.join(known)}" if known else ""


class _Reader:
    """Walks the composed YAML so that every error knows its line."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.constructor = yaml.SafeLoader("")

    def error(self, node: yaml.Node, message: str) -> UserError:
        return UserError(f"{self.file}:{self.line(node)}: {message}")

    def line(self, node: yaml.Node) -> int:
        return int(node.start_mark.line) + 1

    def value(self, node: yaml.Node) -> Any:
        try:
            return self.constructor.construct_object(node, deep=True)  # type: ignore[no-untyped-call]
        except yaml.MarkedYAMLError as error:
            raise self.error(node, f"not a value: {error.problem or error.context}") from None
        except (ValueError, OverflowError, TypeError, RecursionError, AttributeError) as error:
            # PyYAML lets through what Python says of a date in a 13th month, or a number without digits.
            raise self.error(node, f"not a value: {type(error).__name__}: {error}"[:300]) from None

    def mapping(
        self, node: yaml.Node, where: str, keys: Collection[str] | None = None
    ) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            raise self.error(node, f"{where}: expected 'key: value' lines, got {self.kind(node)}")
        found: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if key in found:
                first = self.line(found[key][0])
                raise self.error(key_node, f"{where}: '{key}' is there twice, first on line {first}")
            if keys is not None and key not in keys:
                raise self.error(key_node, f"{where}: unknown key '{key}'{suggest(key, keys)}")
            found[key] = (key_node, value_node)
        return found

    def text(self, node: yaml.Node, where: str) -> str:
        value = self.value(node)
        if not isinstance(value, str) or not value:
            raise self.error(node, f"{where}: expected a name, got {self.kind(node)}")
        return value

    @staticmethod
    def kind(node: yaml.Node) -> str:
        if isinstance(node, yaml.MappingNode):
            return "a mapping"
        if isinstance(node, yaml.SequenceNode):
            return "a list"
        return f"'{node.value}'" if node.value else "nothing"


def parse(path: Path) -> Graph:
    """The graph in the file at ``path``; its form, ids and references are right, or it raises UserError."""
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; give another with --pipeline FILE") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: cannot be read as UTF-8 text; give another with --pipeline FILE") from None
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); give another with --pipeline FILE"
        ) from None
    except RecursionError:
        raise UserError(
            f"{path.name}:1: lists or mappings lie too deep in each other; nothing needs that"
        ) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise UserError(f"{path.name}:{line}: not YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path.name}:1: not YAML: {str(error).splitlines()[0]}") from None
    reader = _Reader(path.name)
    if root is None:
        raise UserError(f"{path.name}:1: empty; it needs 'nodes:', as in the pipeline.yaml of the project")
    top = reader.mapping(root, "top level", ("nodes", "groups", "cluster"))
    if "nodes" not in top:
        raise reader.error(root, "no 'nodes:'; nothing to run")
    nodes = {
        id: _node(reader, id, key, value)
        for id, (key, value) in reader.mapping(top["nodes"][1], "nodes").items()
    }
    if not nodes:
        raise reader.error(top["nodes"][1], "nodes: there is none; nothing to run")
    groups = _groups(reader, top, {spec.group for spec in nodes.values()})
    graph = Graph(path.name, nodes, groups, _cluster(reader, top))
    for spec in nodes.values():
        for source in spec.inputs:
            if source.node not in nodes:
                raise graph.error(
                    source.line,
                    f"nodes.{spec.id}.inputs: no node '{source.node}'{suggest(source.node, nodes)}",
                )
    return graph


def _node(reader: _Reader, id: str, key: yaml.Node, value: yaml.Node) -> NodeSpec:
    where = f"nodes.{id}"
    if not is_id(id):
        raise reader.error(key, f"{where}: an id is at most 32 of small letters, digits, '-', '_'")
    fields = reader.mapping(value, where, ("node", "group", "inputs", "with"))
    for needed in ("node", "group"):
        if needed not in fields:
            raise reader.error(key, f"{where}: no '{needed}:'")
    inputs = []
    if "inputs" in fields:
        listed = fields["inputs"][1]
        if not isinstance(listed, yaml.SequenceNode):
            raise reader.error(listed, f"{where}.inputs: expected a list such as [camera/picture]")
        for item in listed.value:
            route = str(reader.value(item))
            node, slash, port = route.partition("/")
            if not (node and slash and port) or "/" in port:
                raise reader.error(item, f"{where}.inputs: '{route}' is not of the form id/port")
            inputs.append(Input(node, port, reader.line(item)))
    options = reader.mapping(fields["with"][1], f"{where}.with") if "with" in fields else {}
    group = reader.text(fields["group"][1], f"{where}.group")
    if not is_id(group) or group == SUPERVISOR:
        wrong = (
            "is taken" if group == SUPERVISOR else "a name is at most 32 of small letters, digits, '-', '_'"
        )
        raise reader.error(fields["group"][1], f"{where}.group: '{group}': {wrong}")
    return NodeSpec(
        id=id,
        kind=reader.text(fields["node"][1], f"{where}.node"),
        group=group,
        inputs=tuple(inputs),
        options={name: reader.value(node) for name, (_, node) in options.items()},
        line=reader.line(key),
        lines={name: reader.line(node) for name, (node, _) in options.items()},
    )


def _groups(
    reader: _Reader, top: dict[str, tuple[yaml.Node, yaml.Node]], used: set[str]
) -> dict[str, GroupSpec]:
    groups = {name: GroupSpec() for name in sorted(used)}
    if "groups" not in top:
        return groups
    for name, (key, value) in reader.mapping(top["groups"][1], "groups", used).items():
        fields = reader.mapping(value, f"groups.{name}", ("runs_on", "edges", "memory_mb"))
        if "edges" in fields:
            for port, (_, bound) in reader.mapping(fields["edges"][1], f"groups.{name}.edges").items():
                reader.mapping(bound, f"groups.{name}.edges.{port}", Bound.__struct_fields__)
        try:
            groups[name] = msgspec.convert({**reader.value(value), "line": reader.line(key)}, GroupSpec)
        except msgspec.ValidationError as error:
            raise reader.error(value, f"groups.{name}: {plain(error)}") from None
    return groups


def _cluster(reader: _Reader, top: dict[str, tuple[yaml.Node, yaml.Node]]) -> ClusterSpec | None:
    if "cluster" not in top:
        return None
    key, value = top["cluster"]
    known = [name for name in ClusterSpec.__struct_fields__ if name != "line"]
    reader.mapping(value, "cluster", known)
    try:
        return msgspec.convert({**reader.value(value), "line": reader.line(key)}, ClusterSpec)
    except msgspec.ValidationError as error:
        raise reader.error(value, f"cluster: {plain(error)}") from None


def plain(error: msgspec.ValidationError) -> str:
    """msgspec's words without its markup: "expected int, got str"."""
    text, _, path = str(error).replace("`", "").partition(" - at ")
    return (text[:1].lower() + text[1:]) + (f" at {path.lstrip('$.')}" if path.strip("$") else "")
