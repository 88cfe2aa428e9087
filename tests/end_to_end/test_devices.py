"""The whole pipeline on devices that come and go: a PortAudio microphone and a network camera."""

import subprocess
import time
from collections import Counter
from itertools import pairwise

import av
import pytest
from fixtures_mjpeg import NetworkCamera

from nodes.runtime.messages import Gap
from nodes.sources.archive import read
from tests.end_to_end.running import TALKER, Running

BACK_S = 3.0


@pytest.fixture
def camera():
    with av.open(str(TALKER)) as file:
        pictures = [frame.to_ndarray(format="bgr24") for frame in file.decode(video=0)]
    camera = NetworkCamera(lambda i: pictures[i % len(pictures)]).start()
    yield camera
    camera.kill()


@pytest.fixture
def speech(tmp_path):
    """The talker's sound ten times over, as a WAV file."""
    wav = tmp_path / "speech.wav"
    options = ["-stream_loop", "9", "-i", str(TALKER), "-vn", "-ar", "48000", str(wav)]
    subprocess.run(["ffmpeg", "-loglevel", "error", *options], check=True, timeout=60)
    return wav


def collect(run, seconds):
    return list(run.heard(seconds))


def steady(heard, topic, at_most_s):
    """No two bodies of the topic in a row are further apart than that."""
    times = [body["t_start_ns"] for name, body in heard if name == topic and not body["repeat"]]
    assert len(times) > 2
    assert max(later - earlier for earlier, later in pairwise(times)) <= at_most_s * 1e9


def test_microphone_and_camera_may_go_and_come_back_and_the_recording_knows(
    sound_server, camera, speech, tmp_path
):
    folder = tmp_path / "recordings"
    sound_server.play(speech)
    with Running("--camera", camera.url, "--microphone", "default", "--record", folder) as run:
        run.next("voice", seconds=90, mode="av")
        pids = {name: g["pid"] for name, g in run.next("status")["groups"].items() if name}

        sound_server.kill()
        run.next("voice", seconds=5, mode="video")
        steady(collect(run, 3), "face", 0.25)
        sound_server.start()
        sound_server.play(speech)
        begun_s = time.monotonic()
        run.next("voice", seconds=10, mode="av")
        assert time.monotonic() - begun_s < BACK_S

        camera.kill()
        run.next("voice", seconds=5, mode="audio")
        steady(collect(run, 3), "voice", 0.161)
        camera.start()
        begun_s = time.monotonic()
        run.next("voice", seconds=10, mode="av")
        assert time.monotonic() - begun_s < BACK_S

        status = run.next("status")
        assert {name: g["pid"] for name, g in status["groups"].items() if name} == pids

    [recording] = folder.iterdir()
    damage: Counter[str] = Counter()
    recorded = list(read(str(recording), damage))
    assert not damage
    for stream, port in (("microphone", "audio"), ("camera", "picture")):
        sent = [m for m in recorded if m.stream == stream]
        assert {m.port for m in sent} == {port}
        assert len({m.epoch for m in sent if not isinstance(m, Gap)}) == 2
        assert any(isinstance(m, Gap) and "not found" in m.reason for m in sent)
        assert all(later.seq > earlier.seq for earlier, later in pairwise(sent))
