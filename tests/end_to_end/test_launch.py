"""``python launch.py`` as a user starts it, in a process of its own."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
import zmq

from benchmarks.measured.launched import free_address
from tests.end_to_end.exposure import assert_closed_to_others
from tests.end_to_end.running import ROOT, TALKER, Running, left_behind

GRID = ROOT.parent / "shared" / "data" / "grid_s1"
SENTENCES = json.loads(TALKER.with_suffix(".json").read_text())["sentences"]


def launch(*arguments, timeout=120, **options):
    """What it printed and its exit status, once it has ended by itself."""
    return subprocess.run(
        [sys.executable, "launch.py", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        **options,
    )


def test_the_talker_is_understood_and_the_run_ends_by_itself():
    done = launch("demo", "--address", free_address())
    said = " ".join(SENTENCES)
    assert f"said:  {said}" in done.stdout
    assert f"heard: {said}" in done.stdout
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_recorded_speaker_as_fast_as_it_goes():
    clip = next(iter(sorted(GRID.glob("*.mp4"))), None)
    if clip is None:
        pytest.skip("no ../shared/data/grid_s1")
    done = launch("--source", clip, "--speed", "0", "--address", free_address())
    assert done.returncode == 0, done.stderr
    assert (
        "starting 3 groups: capture (media), perceive (face transcribe sentiment), publish (publish)"
        in done.stderr
    )
    words = r"(bin|lay|place|set) (blue|green|red|white) [a-z ]+"
    assert re.search(rf"^\d\d:\d\d:\d\d  \w+ +{words}$", done.stdout, re.MULTILINE), done.stdout


@pytest.fixture
def systemd(tmp_path):
    """The socket that systemd would give: what it hears while a hearsee runs."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(tmp_path / "notify"))
        bound.setblocking(False)
        yield bound


def hears(bound):
    heard = []
    with suppress(BlockingIOError):
        while True:
            heard.append(bound.recv(1000).decode())
    return heard


def test_nothing_can_be_reached_from_outside_and_ctrl_c_tells_the_final_and_leaves_nothing_in_two_seconds(
    systemd,
):
    shared_memory = set(os.listdir("/dev/shm"))
    with Running("--source", TALKER, "--loop", NOTIFY_SOCKET=systemd.getsockname()) as run:
        run.next("voice")
        assert_closed_to_others(run.process.pid)
        said = next(b for topic, b in run.heard() if topic == "transcript.partial" and len(b["words"]) == 3)
        ready, *alive = hears(systemd)
        assert ready == "READY=1\nSTATUS=running"
        assert alive[-1] == "WATCHDOG=1\nSTATUS=capture running, perceive running, publish running"
        begun = time.monotonic()
        os.killpg(run.process.pid, signal.SIGINT)  # as a terminal does: to all of them
        rest = [body for topic, body in run.heard(20) if topic == "transcript.final"]
        run.process.wait(20)
        assert time.monotonic() - begun < 2.0
        assert [body["segment"] for body in rest] == [said["segment"]]
        assert rest[0]["text"].startswith(said["text"].rpartition(" ")[0])
        assert hears(systemd)[-1].startswith("STOPPING=1")
        assert run.process.returncode == 0
        assert "Traceback" not in run.process.stdout.read()
        time.sleep(0.5)
        assert left_behind(run.process.pid) == []
    ours = [name for name in set(os.listdir("/dev/shm")) - shared_memory if "ray" in name or "plasma" in name]
    assert ours == []


def assert_ctrl_c_leaves_nothing(run):
    os.killpg(run.process.pid, signal.SIGINT)
    run.process.wait(20)
    assert "Traceback" not in run.process.stdout.read()
    time.sleep(3)
    assert left_behind(run.process.pid) == []


def test_ctrl_c_while_it_starts():
    with Running("--source", TALKER) as run:
        time.sleep(3)
        assert_ctrl_c_leaves_nothing(run)


def test_ctrl_c_just_as_ray_has_begun_leaves_nothing_of_it():
    with Running("--source", TALKER) as run:
        deadline = time.monotonic() + 30
        while not list(Path("/tmp").glob(f"hearsee-{run.process.pid}-*/ray/session_*/sockets/raylet")):
            assert time.monotonic() < deadline, "no raylet"
            time.sleep(0.01)
        assert_ctrl_c_leaves_nothing(run)


def test_without_camera_and_microphone_status_says_so_every_second_and_it_stops_when_told():
    with Running("--no-camera", "--no-microphone", "--seconds", "5", "--log-json") as run:
        told = [body for topic, body in run.heard(60) if topic == "status" and not body["repeat"]]
        assert run.process.wait(30) == 0
        lines = [json.loads(line) for line in run.process.stdout if line.startswith("{")]
    assert [line["message"].split()[0] for line in lines[:2]] == ["starting", "running,"]
    assert {line["level"] for line in lines} == {"info"}
    assert len(told) >= 4
    assert {body["mode"] for body in told} == {"none"}
    assert all("neither sound nor lips" in body["says"] for body in told)
    for earlier, later in pairwise(body["t_emit_ns"] for body in told):
        assert 0.5e9 < later - earlier < 1.5e9


def refused(*arguments):
    """The only line with which these arguments are refused, at once and without starting Ray."""
    begun = time.monotonic()
    done = launch(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert "starting" not in lines[0]
    assert time.monotonic() - begun < 20
    return lines[0]


def test_a_file_that_is_not_there():
    assert "no/such.mp4" in refused("--source", "no/such.mp4")


def test_a_file_with_nothing_in_it(tmp_path):
    (tmp_path / "empty.mp4").touch()
    assert "empty.mp4" in refused("--source", tmp_path / "empty.mp4")


def test_a_pipeline_with_a_mistake(tmp_path):
    text = (ROOT / "pipeline.yaml").read_text().replace("{device: 0}", "{devcie: 0}")
    (tmp_path / "mine.yaml").write_text(text)
    assert (
        refused("--pipeline", tmp_path / "mine.yaml")
        == "error: mine.yaml:9: nodes.camera.with: unknown key 'devcie'; did you mean 'device'?"
    )


def test_a_pipeline_that_is_not_yaml(tmp_path):
    (tmp_path / "mine.yaml").write_text("nodes: [\n")
    assert re.match(r"error: mine.yaml:\d+: not YAML: ", refused("--pipeline", tmp_path / "mine.yaml"))


def test_a_port_in_use():
    context = zmq.Context()
    taken = context.socket(zmq.PUB)
    port = taken.bind_to_random_port("tcp://127.0.0.1")
    said = refused("--source", TALKER, "--address", f"tcp://127.0.0.1:{port}")
    context.destroy(linger=0)
    assert f"127.0.0.1:{port} is in use" in said


def test_a_model_that_is_missing(tmp_path):
    before = "    inputs: [microphone/audio, face/face]\n"
    text = (ROOT / "pipeline.yaml").read_text()
    assert before in text
    text = text.replace(before, before + f"    with: {{weights: {tmp_path}}}\n")
    (tmp_path / "mine.yaml").write_text(text)
    said = refused("--source", TALKER, "--pipeline", tmp_path / "mine.yaml")
    assert str(tmp_path / "audio.onnx") in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--speed", "2"), "--speed and --loop are for a file; add --source FILE"),
        (("--source", "x.mp4", "--camera", "1"), "--source takes the place of camera and microphone"),
        (("--source", TALKER, "--address", "localhost"), "not an address"),
        (("--source", TALKER, "--address", "tcp://0.0.0.0:5556"), "needs keys"),
    ],
)
def test_flags_that_make_no_sense(arguments, said):
    assert said in refused(*arguments)


def test_a_mistyped_command_is_named():
    done = launch("lisen")
    assert done.returncode == 2
    assert "No such command 'lisen'" in done.stderr


def test_the_help_tells_every_command():
    text = launch("--help").stdout
    for command in ("run", "demo", "listen", "top", "doctor", "join", "keys"):
        assert command in text
