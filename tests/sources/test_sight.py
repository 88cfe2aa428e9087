"""Cameras that send pictures and yet see nothing, or too little: frozen, black, slow."""

import time

import numpy as np
import pytest
from fixtures_mjpeg import NetworkCamera, numbered

from nodes.runtime.messages import Gap, Picture
from nodes.runtime.node import Context
from nodes.sources.camera import Camera
from nodes.sources.sight import Sight

pytestmark = pytest.mark.live

PERIOD_NS = 40_000_000


@pytest.fixture
def watched():
    """A camera node on a network camera, both of which a test may change while they run."""
    server = NetworkCamera(numbered).start()
    node = Camera(device=server.url)
    node.open(Context(name="camera"))
    yield node, server
    node.close()
    server.kill()


def until(node, found, seconds=6.0):
    """Every message up to the first for which ``found`` holds, and how long it took."""
    messages, began = [], time.monotonic()
    while not any(found(message) for message in messages):
        assert time.monotonic() - began < seconds, "it did not come"
        messages += node.step([])
        time.sleep(0.005)
    return messages, time.monotonic() - began


def is_picture(message):
    return isinstance(message, Picture)


def says(word):
    return lambda message: isinstance(message, Gap) and word in message.reason


@pytest.mark.parametrize(
    ("picture", "word"), [(lambda i: numbered(77), "frozen"), (lambda i: numbered(i) // 32, "only black")]
)
def test_pictures_that_show_nothing_are_gaps_until_they_show_something_again(watched, picture, word):
    node, server = watched
    until(node, is_picture)
    server.picture = picture
    messages, took_s = until(node, says(word))
    assert took_s < 1.5
    time.sleep(0.3)
    messages += node.step([])
    assert not any(
        is_picture(m) for m in messages[next(i for i, m in enumerate(messages) if says(word)(m)) :]
    )
    server.picture = numbered
    after, took_s = until(node, is_picture)
    assert took_s < 1.0
    assert [m.seq for m in messages + after] == list(
        range(messages[0].seq, messages[0].seq + len(messages + after))
    )
    assert len({m.epoch for m in messages + after}) == 1, "it is the same camera all along"


def test_a_camera_too_slow_for_lips_is_told_and_its_pictures_are_used(watched):
    node, server = watched
    server.fps = 5.0
    until(node, is_picture)
    deadline = time.monotonic() + 6
    while not node.warnings:
        assert time.monotonic() < deadline, "it was not told"
        messages = node.step([])
        assert not any(says("frozen")(m) for m in messages)
        time.sleep(0.02)
    assert node.warnings == (f"camera {server.url} gives 5 pictures a second, too few to read lips well",)


def shown(sight, pictures, fps=25.0):
    return [sight.look(picture, round(i * 1e9 / fps)) for i, picture in enumerate(pictures)]


def test_another_rate_than_was_asked_for_is_told():
    sight = Sight(0, 30.0)
    shown(sight, [numbered(i) for i in range(60)], fps=15.0)
    assert sight.warnings == ("camera 0 gives 15 pictures a second, not the 30 it was asked for",)
    shown(sight, [numbered(i) for i in range(120)], fps=30.0)


def test_a_still_picture_with_the_least_noise_is_not_frozen():
    noise = np.random.default_rng(5)
    still = numbered(3)
    pictures = []
    for _ in range(50):
        picture = still.copy()
        picture[tuple(noise.integers(0, side) for side in picture.shape)] ^= 1
        pictures.append(picture)
    assert not any(shown(Sight(0, 0.0), pictures))


def test_a_few_equal_pictures_are_not_frozen():
    """A camera in the dark sends each picture several times."""
    assert not any(shown(Sight(0, 0.0), [numbered(i // 8) for i in range(100)]))


def test_a_dark_picture_with_a_lamp_in_it_is_not_black():
    dark = np.full((240, 320, 3), 10, np.uint8)
    dark[100:140, 100:140] = 200
    pictures = [dark.copy() for _ in range(50)]
    for i, picture in enumerate(pictures):
        picture[0, i] = 30
    assert not any(shown(Sight(0, 0.0), pictures))
