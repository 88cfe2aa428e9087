"""pipeline.yaml: what is right is understood, what is wrong is one line with its place and what was meant."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline_files import GOOD, SAMPLE, read

from nodes.runtime.check import check
from nodes.runtime.errors import UserError
from nodes.runtime.graph import parse


def wrong(tmp_path, old, new):
    """The one line that the good file with ``old`` changed to ``new`` is refused with."""
    assert old in GOOD
    with pytest.raises(UserError) as refused:
        check(read(tmp_path, GOOD.replace(old, new, 1)))
    line = str(refused.value)
    assert "\n" not in line
    return line


def test_the_good_file_is_understood(tmp_path):
    graph = check(read(tmp_path, GOOD))
    assert list(graph.groups) == ["capture", "perceive", "publish"]
    assert [i.route for i in graph.nodes["words"].inputs] == ["microphone/audio", "face/face"]
    assert graph.nodes["words"].options == {"rate": 2.0, "names": ["a", "b"]}
    order = list(graph.nodes)
    assert order.index("camera") < order.index("face") < order.index("words") < order.index("diary")


def test_the_projects_own_file_names_nodes_that_it_wires_rightly():
    graph = parse(Path(__file__).parents[2] / "pipeline.yaml")
    assert {spec.group for spec in graph.nodes.values()} == {"capture", "perceive", "publish"}
    assert check(graph).nodes.keys() == graph.nodes.keys()


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            "{device: 0}",
            "{devcie: 0}",
            "pipeline.yaml:5: nodes.camera.with: unknown key 'devcie'; did you mean 'device'?",
        ),
        (
            "{device: 0}",
            "{device: [1]}",
            "pipeline.yaml:5: nodes.camera.with.device: expected int | str, got array",
        ),
        ("rate: 2", "rate: fast", "pipeline.yaml:20: nodes.words.with.rate: expected float, got str"),
        (
            "names: [a, b]",
            "names: [a, 2]",
            "pipeline.yaml:20: nodes.words.with.names: expected str, got int at [1]",
        ),
        ("    with: {path: diary.txt}\n", "", "pipeline.yaml:22: nodes.diary.with: 'path' is needed"),
        (
            "group: capture",
            "gruop: capture",
            "pipeline.yaml:4: nodes.camera: unknown key 'gruop'; did you mean 'group'?",
        ),
        (
            "nodes:\n",
            "ndoes:\n",
            "pipeline.yaml:1: top level: unknown key 'ndoes'; did you mean 'nodes'?",
        ),
        (
            "[camera/picture]",
            "[camra/picture]",
            "pipeline.yaml:14: nodes.face.inputs: no node 'camra'; did you mean 'camera'?",
        ),
        (
            "[camera/picture]",
            "[camera/pictures]",
            "pipeline.yaml:14: nodes.face.inputs: camera gives no 'pictures'; did you mean 'camera/picture'?",
        ),
        (
            "[camera/picture]",
            "[microphone/audio]",
            "pipeline.yaml:14: nodes.face.inputs: face takes no 'audio'; it can be picture",
        ),
        (
            "[camera/picture]",
            "[camera]",
            "pipeline.yaml:14: nodes.face.inputs: 'camera' is not of the form id/port",
        ),
        (
            "[camera/picture]",
            "camera/picture",
            "pipeline.yaml:14: nodes.face.inputs: expected a list such as [camera/picture]",
        ),
        ("  words:", "  face:", "pipeline.yaml:16: nodes: 'face' is there twice, first on line 11"),
        ("    group: perceive\n", "", "pipeline.yaml:11: nodes.face: no 'group:'"),
        (
            "  words:",
            "  Wo rds:",
            "pipeline.yaml:16: nodes.Wo rds: an id is at most 32 of small letters, digits, '-', '_'",
        ),
        (
            f"{SAMPLE}:Lips",
            f"{SAMPLE}:Lisp",
            f"pipeline.yaml:11: nodes.face.node: no class 'Lisp' in {SAMPLE}; did you mean 'Lips'?",
        ),
        (
            f"{SAMPLE}:Lips",
            "perception/fase",
            "pipeline.yaml:11: nodes.face.node: no node 'perception/fase'; did you mean 'perception/face'?",
        ),
        (
            f"{SAMPLE}:Lips",
            "no_such.module:X",
            "pipeline.yaml:11: nodes.face.node: no module 'no_such.module'; it must be importable from here",
        ),
        (
            f"{SAMPLE}:Lips",
            "json:JSONDecoder",
            "pipeline.yaml:11: nodes.face.node: 'json:JSONDecoder' is no node: it has no 'inputs'",
        ),
        ("  camera:", "  camera: [", None),
        ("  face:\n", "  face:\n\t", None),
    ],
)
def test_each_mistake_is_one_line_with_its_place(tmp_path, old, new, line):
    said = wrong(tmp_path, old, new)
    if line is None:
        assert said.startswith("pipeline.yaml:")
        assert "not YAML" in said
    else:
        assert said == line


def test_a_cycle_is_shown(tmp_path):
    text = f"""\
nodes:
  one: {{node: "{SAMPLE}:Echo", group: a, inputs: [two/audio]}}
  two: {{node: "{SAMPLE}:Echo", group: a, inputs: [one/audio]}}
"""
    with pytest.raises(
        UserError, match=r"^pipeline.yaml:\d: nodes: a cycle, (one -> two -> one|two -> one -> two)$"
    ):
        check(read(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "pipeline.yaml:1: empty; it needs 'nodes:', as in the pipeline.yaml of the project"),
        ("nodes: {}", "pipeline.yaml:1: nodes: there is none; nothing to run"),
        ("- a", "pipeline.yaml:1: top level: expected 'key: value' lines, got a list"),
        ("groups: {}", "pipeline.yaml:1: no 'nodes:'; nothing to run"),
    ],
)
def test_a_file_that_is_no_pipeline(tmp_path, text, line):
    with pytest.raises(UserError) as refused:
        read(tmp_path, text)
    assert str(refused.value) == line


def test_a_file_that_is_not_there_or_not_text(tmp_path):
    with pytest.raises(UserError, match="no such file; give another with --pipeline"):
        parse(tmp_path / "pipline.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot be read"):
        parse(tmp_path / "binary.yaml")


@given(st.text(max_size=60))
def test_any_text_at_all_is_a_graph_or_one_line(tmp_path_factory, text):
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_text(text, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(UserError) as refused:
        parse(file)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("groups", "line"),
    [
        ("captur: {}", "pipeline.yaml:28: groups: unknown key 'captur'; did you mean 'capture'?"),
        ("capture: {runs: robot}", "groups.capture: unknown key 'runs'; did you mean 'runs_on'?"),
        ("capture: {memory_mb: 0}", "groups.capture: expected int >= 1 at memory_mb"),
        (
            "capture: {runs_on: robot}",
            "pipeline.yaml:28: groups.capture.runs_on: 'robot' is another host, and this one does not say",
        ),
        ("capture: {runs_on: memory}", "'memory': a host's name is at most 32 of small letters"),
        (
            "capture: {runs_on: robot}\ncluster: {address: 10.0.0.1}",
            "pipeline.yaml:29: cluster: hosts meet only with keys; make them with `python launch.py keys`",
        ),
        (
            "capture: {}\ncluster: {adress: 10.0.0.1}",
            "cluster: unknown key 'adress'; did you mean 'address'?",
        ),
        ("capture: {}\ncluster: {address: 10.0.0.1, port: 80}", "cluster: expected int >= 1024 at port"),
        ("capture: {runs_on: 3}", "groups.capture: expected str, got int at runs_on"),
        ("capture: {edges: {picture: {messages: many, bytes: 1}}}", "expected int, got str"),
        ("capture: {edges: {picture: {messages: 0, bytes: 1}}}", "expected int >= 1 at edges"),
        ("capture: {edges: {pictur: {messages: 1, bytes: 1}}}", "no port 'pictur'; did you mean 'picture'?"),
    ],
)
def test_mistakes_in_groups(tmp_path, groups, line):
    with pytest.raises(UserError) as refused:
        check(read(tmp_path, GOOD + "groups:\n  " + groups + "\n"))
    assert line in str(refused.value)
