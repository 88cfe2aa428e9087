"""``launch.py top`` as a user sees it: a real publisher, a real process, a terminal or a pipe."""

import os
import pty
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from heard import health, voice
from publishers import Publisher

from nodes.outputs import top
from nodes.runtime.errors import UserError

pytestmark = pytest.mark.live  # goes by the clock

ROOT = Path(__file__).parents[2]
MICROPHONE = {
    "state": "ok",
    "messages": 100,
    "step_p50_ms": 0.1,
    "step_p99_ms": 0.4,
    "delay_p50_ms": 11.8,
    "delay_p99_ms": 14.2,
    "clock": {"rate_ppm": -21.5, "rate_uncertainty_ppm": 3.2, "offset_ms": 5.0, "uncertainty_ms": 0.1},
}
FACE = {
    "state": "ok",
    "messages": 3,
    "gaps": {"face": "camera 0 not found"},
    "engines": {"audio": "onnxruntime"},
}
ROBOT = {"offset_ms": -41.5, "uncertainty_ms": 0.2, "delay_ms": 0.4, "heard_s": 0.1}
EDGES = {"microphone/audio>perceive": {"queued": 3, "queued_bytes": 4500, "dropped": 17}}


@pytest.fixture
def publisher():
    """Hears of two groups and a voice, ten times a second."""
    publisher, end = Publisher(), threading.Event()

    def feed():
        while not end.wait(0.1):
            capture = health("capture", nodes={"microphone": MICROPHONE}, edges=EDGES)
            publisher.say(voice("audio"), capture, health("perceive", nodes={"face": FACE}))

    feeding = threading.Thread(target=feed)
    feeding.start()
    yield publisher
    end.set()
    feeding.join()
    publisher.close()


def start(address, *options, **where):
    command = [sys.executable, "launch.py", "top", address, *options]
    return subprocess.Popen(command, cwd=ROOT, **where)


def assert_told(text):
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert any(line.startswith("audio sound 0.90 lips 0.80 up") for line in lines)
    assert any(line.startswith("capture running 1 5 MiB 99 ") for line in lines), text
    assert any(
        line.startswith("microphone capture") and line.endswith("0.1 / 0.4 11.8 / 14.2 -21.5 ± 3.2")
        for line in lines
    )
    assert any(line.endswith("no face: camera 0 not found; audio: onnxruntime") for line in lines)
    assert any(line.startswith("microphone/audio>perceive 3 4.5 17") for line in lines)
    assert any(line.startswith("voice ") for line in lines)


def test_once_into_a_pipe(publisher):
    time.sleep(1.5)  # until a status tells of it
    out, err = start(
        publisher.address, "--once", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ).communicate(timeout=30)
    assert err == ""
    assert_told(out)


def test_on_a_terminal_it_changes_until_ctrl_c(publisher):
    near, far = pty.openpty()
    process = start(
        publisher.address, stdout=far, stderr=far, env={**os.environ, "COLUMNS": "160", "LINES": "50"}
    )
    os.close(far)
    seen, until = b"", time.monotonic() + 30
    while seen.count(b"microphone/audio>perceive") < 2 and time.monotonic() < until:
        seen += os.read(near, 65536)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0
    assert seen.count(b"microphone/audio>perceive") >= 2
    assert b"Traceback" not in seen


def test_what_happened_since_the_status_before_is_told_by_the_second():
    before = {
        "t_end_ns": 0,
        "nodes": {"microphone": {**MICROPHONE, "messages": 50}},
        "drops": {"microphone/audio>perceive": 12},
    }
    console = top.Console(width=top.WIDTH)
    with console.capture() as said:
        console.print(
            top._nodes(before, {"nodes": {"microphone": MICROPHONE}}, 2.0),
            top._edges(before, {"drops": {"microphone/audio>perceive": 17}, "queues": {}}),
            top._hosts({"clocks": {"robot": ROBOT}}),
        )
    lines = [" ".join(line.split()) for line in said.get().splitlines()]
    assert any(line.startswith("microphone 25.0") for line in lines)
    assert "microphone/audio>perceive 0 0.0 17 +5" in lines
    assert "robot -41.5 ± 0.2 0.4 0.1 s ago" in lines


def test_where_nothing_answers_it_ends_with_one_line(monkeypatch):
    monkeypatch.setattr(top, "PATIENCE_S", 0.3)
    begun = time.monotonic()
    with pytest.raises(UserError, match=r"nothing is published at tcp://127.0.0.1:9 within") as error:
        top.top("tcp://127.0.0.1:9", once=True)
    assert "\n" not in str(error.value)
    assert time.monotonic() - begun < 3
