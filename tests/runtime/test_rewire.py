"""What flags make of a pipeline.yaml: files for devices, a sense less, a recorder, a replay, a cluster."""

import re
from pathlib import Path

import pytest
from msgspec.structs import replace
from pipeline_files import GOOD, SAMPLE, read, shipped

from nodes.runtime import rewire
from nodes.runtime.check import check
from nodes.runtime.errors import UserError
from nodes.runtime.graph import Input, parse
from nodes.runtime.plan import plan


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


def test_flags_say_where_hosts_meet(tmp_path):
    graph = read(tmp_path, GOOD + "groups: {capture: {runs_on: robot}}\n")
    there = rewire.with_cluster(graph, "10.0.0.1:30000", "keys").cluster
    assert (there.address, there.port, there.keys) == ("10.0.0.1", 30000, "keys")
    with pytest.raises(UserError, match="--keys is for a cluster; add --cluster ADDRESS"):
        rewire.with_cluster(graph, None, "keys")
