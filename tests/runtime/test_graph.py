"""pipeline.yaml: what is right is understood, what is wrong is one line with its place and what was meant."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from nodes.runtime import rewire
from nodes.runtime.check import check
from nodes.runtime.errors import UserError
from nodes.runtime.graph import BOUNDS, Bound, Input, parse
from nodes.runtime.plan import plan

SAMPLE = "tests.runtime.sample_nodes"
GOOD = f"""\
nodes:
  camera:
    node: {SAMPLE}:Camera
    group: capture
    with: {{device: 0}}

  microphone:
    node: {SAMPLE}:Microphone
    group: capture

  face:
    node: {SAMPLE}:Lips
    group: perceive
    inputs: [camera/picture]

  words:
    node: {SAMPLE}:Words
    group: perceive
    inputs: [microphone/audio, face/face]
    with: {{rate: 2, names: [a, b]}}

  diary:
    node: {SAMPLE}:Diary
    group: publish
    inputs: [words/transcript, words/voice, face/face]
    with: {{path: diary.txt}}
"""


def read(tmp_path, text):
    file = tmp_path / "pipeline.yaml"
    file.write_text(text)
    return parse(file)


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


def test_bounds_and_places_of_groups(tmp_path):
    groups = "groups:\n  capture:\n    edges: {picture: {messages: 2, bytes: 1000000}}\n"
    graph = check(read(tmp_path, GOOD + groups))
    assert graph.groups["capture"].edges == {"picture": Bound(2, 1000000)}
    edges = {(e.source, e.target): e for e in plan(graph, "/tmp/x", True).groups["capture"].outgoing}
    bounds = edges["capture", "perceive"].bounds
    assert bounds == {"camera/picture": Bound(2, 1000000), "microphone/audio": BOUNDS["audio"]}


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


def test_a_file_takes_the_place_of_every_source(tmp_path):
    graph = rewire.replace_sources(read(tmp_path, GOOD), "media", f"{SAMPLE}:Tone", {"count": 3})
    assert list(graph.nodes) == ["media", "face", "words", "diary"]
    assert [i.route for i in graph.nodes["face"].inputs] == ["media/picture"]
    assert [i.route for i in graph.nodes["words"].inputs] == ["media/audio", "face/face"]
    assert graph.nodes["media"].group == "capture"
    assert check(graph).nodes["media"].options == {"count": 3}


def test_without_a_sense_goes_what_only_served_it(tmp_path):
    graph = read(tmp_path, GOOD)
    assert set(rewire.without(graph, "picture").nodes) == {"microphone", "words", "diary"}
    assert set(rewire.without(graph, "audio").nodes) == {"camera", "face", "words", "diary"}
    deaf = rewire.without(graph, "picture").nodes
    assert [i.route for i in deaf["words"].inputs] == ["microphone/audio"]
    assert [i.route for i in deaf["diary"].inputs] == ["words/transcript", "words/voice"]


def test_without_both_senses_the_end_remains_to_say_so(tmp_path):
    graph = rewire.without(rewire.without(read(tmp_path, GOOD), "picture"), "audio")
    assert set(graph.nodes) == {"diary"}
    assert check(graph).groups.keys() == {"publish"}


def test_a_file_with_only_its_sound(tmp_path):
    graph = rewire.replace_sources(read(tmp_path, GOOD), "media", f"{SAMPLE}:Tone", {})
    assert set(rewire.without(graph, "picture").nodes) == {"media", "words", "diary"}


def test_an_option_from_the_command_line(tmp_path):
    graph = rewire.with_option(read(tmp_path, GOOD), f"{SAMPLE}:Camera", "device", "/dev/video7")
    assert check(graph).nodes["camera"].options == {"device": "/dev/video7"}
    with pytest.raises(UserError, match="no node is a sources/radar"):
        rewire.with_option(graph, "sources/radar", "device", 1)


def test_the_plan_joins_every_group_to_whoever_takes_health(tmp_path):
    graph = check(read(tmp_path, GOOD))
    planned = plan(graph, "/tmp/x", live=False)
    edges = {(e.source, e.target): e for g in planned.groups.values() for e in g.outgoing}
    assert set(edges) == {("capture", "perceive"), ("capture", "publish"), ("perceive", "publish")}
    assert set(edges["capture", "publish"].routes) == {"capture/health"}
    assert not edges["capture", "publish"].carries_data
    assert edges["perceive", "publish"].routes["face/face"] == ("diary",)
    assert all(edge.wait for edge in edges.values())
    assert [(e.source, e.target) for e in planned.supervisor] == [("supervisor", "publish")]
    assert planned.groups["perceive"].local == {"face/face": ("words",)}
    assert planned.groups["publish"].local == {"publish/health": ("diary",)}
    assert len({e.address for e in edges.values()}) == len(edges)


def shipped():
    return parse(Path(__file__).parents[2] / "pipeline.yaml")


def test_a_recorder_hears_the_sources_and_all_that_is_published_in_a_group_of_its_own():
    graph = check(rewire.with_recorder(shipped(), "/data"))
    recorder = graph.nodes["record"]
    assert recorder.group == "record"
    assert recorder.options == {"folder": "/data"}
    published = {i.route for i in graph.nodes["publish"].inputs}
    assert {i.route for i in recorder.inputs} == published | {"camera/picture", "microphone/audio"}
    assert check(rewire.with_recorder(graph, "/else")).nodes["record"].options == {"folder": "/else"}
    deaf = check(rewire.with_recorder(rewire.without(shipped(), "audio"), "/data"))
    assert "microphone/audio" not in {i.route for i in deaf.nodes["record"].inputs}


def test_the_recorder_in_the_comment_of_the_shipped_file_is_one(tmp_path):
    text = (Path(__file__).parents[2] / "pipeline.yaml").read_text()
    commented = re.search(r"  # record: .*?\n\n", text, re.DOTALL).group()
    (tmp_path / "mine.yaml").write_text(text.replace(commented, re.sub("^  # ", "  ", commented, flags=re.M)))
    mine, added = parse(tmp_path / "mine.yaml"), rewire.with_recorder(shipped(), "recordings")
    inputs = [{i.route for i in check(graph).nodes["record"].inputs} for graph in (mine, added)]
    assert inputs[0] == inputs[1]


def test_a_replay_runs_in_one_group_with_the_clock_of_the_recording_and_records_nothing():
    graph = rewire.with_recorder(shipped(), "/data")
    graph = check(rewire.for_replay(graph, "a.mcap", 0.0, frozenset({"audio"}), 12))
    assert set(graph.nodes) == {"recording", "transcribe", "sentiment", "publish"}
    assert list(plan(graph, "/tmp/x", live=False).groups) == ["replay"]
    assert graph.nodes["publish"].options["unix_offset_ns"] == 12
    assert graph.nodes["publish"].options["address"] == "tcp://127.0.0.1:5556"
    assert graph.nodes["transcribe"].options == {"backend": "onnxruntime"}
    assert graph.nodes["recording"].options == {"path": "a.mcap", "speed": 0.0}


def test_a_replay_of_two_cameras_gives_each_its_own_pictures():
    graph = shipped()
    second = {
        "door": replace(graph.nodes["camera"], id="door"),
        "visitors": replace(graph.nodes["face"], id="visitors", inputs=(Input("door", "picture"),)),
    }
    graph = replace(graph, nodes={**graph.nodes, **second})
    graph = check(rewire.for_replay(graph, "a.mcap", 0.0, frozenset({"audio", "picture"}), 12))
    assert graph.nodes["door"].kind == "sources/channel"
    assert graph.nodes["door"].options == {"stream": "door"}
    assert [i.route for i in graph.nodes["door"].inputs] == ["recording/picture"]
    assert [i.route for i in graph.nodes["visitors"].inputs] == ["door/picture"]
    assert [i.route for i in graph.nodes["microphone"].inputs] == ["recording/audio"]


ROBOT = """\
groups: {capture: {runs_on: robot}}
cluster: {address: 10.0.0.1, keys: keys}
"""
ADDRESSES = {"local": "10.0.0.1", "robot": "10.0.0.2"}


def test_groups_on_two_hosts_meet_at_fixed_ports_and_only_what_crosses_does(tmp_path):
    graph = check(read(tmp_path, GOOD + ROBOT))
    assert graph.hosts == ["robot"]
    one, again = (plan(graph, "/tmp/x", True, ADDRESSES) for _ in range(2))
    assert one == again, "a group that is started again binds what it bound before"
    edges = {(e.source, e.target): e for group in one.groups.values() for e in group.outgoing}
    crossing = edges["capture", "perceive"]
    assert crossing.address.startswith("tcp://10.0.0.2:204")
    assert crossing.clock.startswith("udp://10.0.0.2:204")
    assert (crossing.crosses, crossing.hosts) == (True, ("robot", "local"))
    assert edges["perceive", "publish"].address == "ipc:///tmp/x/perceive-publish"
    assert not edges["perceive", "publish"].crosses
    assert one.groups["capture"].host == "robot"
    bound = [e.address for e in edges.values()] + [e.clock for e in edges.values() if e.clock]
    assert len(set(bound)) == len(edges) + len({e.source for e in edges.values() if e.clock})


def test_a_file_keeps_its_own_times_also_between_hosts(tmp_path):
    planned = plan(check(read(tmp_path, GOOD + ROBOT)), "/tmp/x", False, ADDRESSES)
    assert {e.clock for e in planned.groups["capture"].outgoing} == {""}


def test_pictures_that_would_go_between_hosts_are_warned_of_in_one_line(tmp_path, caplog):
    plan(check(read(tmp_path, GOOD + ROBOT)), "/tmp/x", True, ADDRESSES)
    assert caplog.messages == [
        "camera/picture goes from host robot to host local, 23 MB/s at 640x480;"
        " put face into group capture to send faces"
    ]
    caplog.clear()
    moved = GOOD.replace("Lips\n    group: perceive", "Lips\n    group: capture", 1)
    plan(check(read(tmp_path, moved + ROBOT)), "/tmp/x", True, ADDRESSES)
    assert caplog.messages == []


def test_flags_say_where_hosts_meet(tmp_path):
    graph = read(tmp_path, GOOD + "groups: {capture: {runs_on: robot}}\n")
    there = rewire.with_cluster(graph, "10.0.0.1:30000", "keys").cluster
    assert (there.address, there.port, there.keys) == ("10.0.0.1", 30000, "keys")
    with pytest.raises(UserError, match="--keys is for a cluster; add --cluster ADDRESS"):
        rewire.with_cluster(graph, None, "keys")
