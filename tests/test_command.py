"""Which pipeline the command line asks for; nothing of it is started."""

import subprocess
import sys
from pathlib import Path

import pytest
from replaying import TALKER, recorded, talking
from typer.testing import CliRunner

import launch
from nodes.outputs import show
from nodes.runtime.errors import UserError


@pytest.fixture
def asked(monkeypatch):
    """The graph and the seconds that a command line would run."""

    def ask(*arguments):
        got = []
        monkeypatch.setattr(show, "show", lambda graph, seconds=None: got.append((graph, seconds)))
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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--grammar", "no/such.jsgf"), r"no/such\.jsgf: cannot read the grammar"),
        (("--weights", "no/such"), r"no/such/audio\.onnx: no such model file"),
        (("--out", TALKER), r"talker\.mp4: cannot write there .*--out FOLDER"),
        (("--task", "lips"), "give speech or sentiment"),
    ],
)
def test_what_an_evaluation_cannot_use_ends_it_at_once(tmp_path, arguments, said):
    (tmp_path / "a.mp4").write_bytes(TALKER.read_bytes())
    (tmp_path / "a.txt").write_text("place blue")
    with pytest.raises(UserError, match=said):
        CliRunner().invoke(
            launch.app, ["evaluate", str(tmp_path), *map(str, arguments)], catch_exceptions=False
        )


@pytest.mark.parametrize(
    ("lacks", "arguments", "remedy"),
    [("typer", (), "make demo"), ("scipy", ("evaluate", "docs"), "make .venv/development")],
)
def test_a_python_that_lacks_packages_says_what_installs_them(lacks, arguments, remedy):
    without = f"import sys; sys.modules[{lacks!r}] = None; import launch; launch.main()"
    done = subprocess.run(
        [sys.executable, "-c", without, *arguments],
        cwd=Path(launch.__file__).parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert lacks in line
    assert remedy in line
