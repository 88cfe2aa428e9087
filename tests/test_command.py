"""Which pipeline the command line asks for; nothing of it is started."""

import pytest
from replaying import TALKER, recorded, talking
from typer.testing import CliRunner

import launch
from nodes.runtime.errors import UserError


@pytest.fixture
def asked(monkeypatch):
    """The graph and the seconds that a command line would run."""

    def ask(*arguments):
        got = []
        monkeypatch.setattr(launch, "_run", lambda graph, seconds: got.append((graph, seconds)))
        done = CliRunner().invoke(launch.app, list(map(str, arguments)), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return got[0]

    return ask


def test_record_is_run_with_a_recorder(asked, tmp_path):
    options = ("--source", TALKER, "--speed", 3, "--loop", "--no-camera", "--address", "tcp://127.0.0.1:9")
    options += ("--seconds", 7)
    graph, seconds = asked("record", tmp_path, *options)
    assert (graph, seconds) == asked("run", "--record", tmp_path, *options)
    assert graph.nodes["record"].options == {"folder": str(tmp_path)}
    assert graph.nodes["media"].options == {"path": str(TALKER), "speed": 3.0, "loop": True}
    assert seconds == 7
    devices, _ = asked("record", tmp_path, "--camera", "2", "--microphone", "usb")
    assert devices.nodes["camera"].options["device"] == 2
    assert devices.nodes["microphone"].options["device"] == "usb"


def test_a_recording_is_no_media_file(asked, tmp_path):
    with pytest.raises(UserError, match=r"python launch.py replay .*a\.mcap"):
        asked("--source", tmp_path / "a.mcap")


def test_replay_takes_the_recording_in_place_of_the_devices(asked, tmp_path):
    path = recorded(tmp_path / "a.mcap", talking()[:40])
    graph, seconds = asked("replay", path, "--speed", 0, "--address", "tcp://127.0.0.1:9")
    assert graph.nodes["recording"].options == {"path": str(path), "speed": 0.0}
    assert graph.nodes["publish"].options["address"] == "tcp://127.0.0.1:9"
    assert graph.nodes["publish"].options["unix_offset_ns"] == 1_700_000_000_000_000_000
    assert seconds is None
    with pytest.raises(UserError, match="cannot be written"):
        asked("replay", path, "--out", tmp_path)
