"""The camera on a real network camera: MJPEG over loopback HTTP, slow, lost, frozen and back."""

import threading
import time
from itertools import pairwise

import numpy as np
import pytest
from fixtures_mjpeg import NetworkCamera, number, numbered

from nodes.runtime.errors import UserError
from nodes.runtime.messages import Gap, Picture
from nodes.runtime.node import Context
from nodes.sources.camera import QUEUE_PICTURES, Camera

pytestmark = pytest.mark.live

SECOND = 1_000_000_000


@pytest.fixture
def network_camera():
    """Starts network cameras and ends them after the test."""
    started = []

    def begin(**options):
        started.append(NetworkCamera(numbered, **options).start())
        return started[-1]

    yield begin
    for camera in started:
        camera.kill()


@pytest.fixture
def watch():
    opened = []

    def begin(device, **options):
        node = Camera(device=device, **options)
        node.open(Context(name="camera", epoch=2))
        opened.append(node)
        return node

    yield begin
    for node in opened:
        node.close()


def collect(node, seconds, until=lambda messages: False):
    messages, deadline = [], time.monotonic() + seconds
    while time.monotonic() < deadline and not until(messages):
        messages += node.step([])
        time.sleep(0.005)
    return messages


def pictures(messages):
    return [m for m in messages if isinstance(m, Picture)]


def enough(count):
    return lambda messages: len(pictures(messages)) >= count


def assert_in_order(messages, period_ns=SECOND / 25):
    assert [m.seq for m in messages] == list(range(messages[0].seq, messages[0].seq + len(messages)))
    assert all(a.t_start_ns < b.t_start_ns and a.epoch <= b.epoch for a, b in pairwise(messages))
    holes = [b.t_start_ns - a.t_end_ns for a, b in pairwise(messages)]
    assert max(holes) < 3 * period_ns, "every hole is told"


@pytest.mark.parametrize("fps", [12.0, 25.0, 60.0])
def test_pictures_come_with_the_time_they_were_sent(network_camera, watch, fps):
    camera = network_camera(fps=fps)
    messages = collect(watch(camera.url), 10, until=enough(40))
    seen = pictures(messages)
    numbers = [number(m.image) for m in seen]
    assert numbers == sorted(set(numbers))
    late_ms = np.array([(m.t_start_ns - camera.sent_ns[n]) / 1e6 for m, n in zip(seen, numbers, strict=True)])
    assert late_ms.min() >= 0
    assert np.median(late_ms) < 20
    assert seen[-1].t_end_ns - seen[-1].t_start_ns == pytest.approx(SECOND / fps, rel=0.3)
    assert {(m.stream, m.epoch, m.image.dtype) for m in seen} == {("camera", 2, np.dtype(np.uint8))}
    assert_in_order(messages, SECOND / fps)


def test_a_known_latency_is_taken_off(network_camera, watch):
    camera = network_camera()
    seen = pictures(collect(watch(camera.url, latency_ms=200.0), 10, until=enough(20)))
    early_ms = [(camera.sent_ns[number(m.image)] - m.t_start_ns) / 1e6 for m in seen]
    assert np.median(early_ms) == pytest.approx(200, abs=20)


def test_large_pictures_are_shrunk(watch):
    camera = NetworkCamera(lambda i: numbered(i, 1280, 720)).start()
    try:
        seen = pictures(collect(watch(camera.url, max_side=320), 10, until=enough(3)))
    finally:
        camera.kill()
    assert seen[0].image.shape == (180, 320, 3)
    assert [number(m.image) for m in seen] == sorted({number(m.image) for m in seen})


def test_a_camera_that_dies_is_a_gap_and_is_taken_back(network_camera, watch):
    camera = network_camera()
    node = watch(camera.url)
    before = collect(node, 10, until=enough(20))
    camera.kill()
    meanwhile = collect(node, 1.5)
    camera.start()
    again = time.monotonic()
    after = collect(node, 8, until=enough(5))
    assert time.monotonic() - again < 3.0
    gaps = [m for m in meanwhile if isinstance(m, Gap)]
    assert len(gaps) >= 25
    assert {m.of for m in gaps} == {"picture"}
    assert gaps[-1].reason in (
        f"camera {camera.url} unplugged or not answering",
        f"camera {camera.url} not found",
    )
    assert {m.epoch for m in pictures(before)} == {2}
    assert pictures(after)[0].epoch > 2
    assert_in_order(before + meanwhile + after)


def test_a_camera_that_freezes_is_told_within_half_a_second(network_camera, watch):
    camera = network_camera()
    node = watch(camera.url)
    collect(node, 10, until=enough(20))
    camera.frozen.set()
    frozen = time.monotonic()
    messages = collect(node, 5, until=lambda m: any(isinstance(x, Gap) for x in m))
    assert time.monotonic() - frozen < 0.6
    assert messages[-1].reason == f"camera {camera.url} stalls"
    messages += collect(node, 2)
    camera.frozen.clear()
    thawed = time.monotonic()
    messages += collect(node, 8, until=lambda m: bool(pictures(m)))
    assert time.monotonic() - thawed < 3.0
    assert_in_order(messages)


@pytest.mark.parametrize("device", [97, "/dev/video97", "http://127.0.0.1:9/none.mjpg"])
def test_an_unknown_camera_is_a_gap_at_pace_and_not_an_error(watch, device, capfd):
    node = watch(device)
    messages = collect(node, 1.5)
    assert {type(m) for m in messages} == {Gap}
    assert messages[-1].reason == f"camera {device} not found"
    assert 30 <= len(messages) <= 38
    assert all(a.t_end_ns == b.t_start_ns for a, b in pairwise(messages))
    assert capfd.readouterr().err == ""


def test_a_camera_that_accepts_and_says_nothing_does_not_hold_up_the_node(watch):
    import socket

    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        node = watch(f"http://127.0.0.1:{deaf.getsockname()[1]}/video.mjpg")
        assert len(collect(node, 1.0)) >= 18
        began = time.monotonic()
        node.close()
        assert time.monotonic() - began < 1.0


def test_nobody_stepping_costs_the_oldest_pictures_and_says_so(network_camera, watch):
    camera = network_camera()
    node = watch(camera.url)
    before = collect(node, 10, until=enough(10))
    time.sleep(1.5)
    after = node.step([])
    assert len(pictures(after)) == QUEUE_PICTURES
    assert "dropped" in after[0].reason
    newest = number(pictures(after)[-1].image)
    assert newest >= max(camera.sent_ns) - 2
    assert_in_order(before + after)


def test_a_file_is_no_camera(tmp_path):
    film = tmp_path / "film.mp4"
    film.write_bytes(b"0")
    with pytest.raises(UserError, match="is a file"):
        Camera(device=str(film)).open(Context(name="camera"))


def test_an_index_may_be_written_as_text():
    assert Camera(device="2").device == 2


def test_threads_end_with_the_node(network_camera, watch):
    node = watch(network_camera().url)
    collect(node, 5, until=enough(3))
    began = time.monotonic()
    node.close()
    assert time.monotonic() - began < 1.0
    assert not [t for t in threading.enumerate() if t.name == "camera capture"]
