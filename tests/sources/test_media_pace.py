"""How fast a media file is played: at real speed, faster, in a loop, or not at all while nobody listens."""

import time
from itertools import pairwise

import numpy as np
import pytest
from fixtures_media import grey, tone, write
from played import SECOND, grid_clip, of, play

from nodes.runtime.messages import Picture
from nodes.runtime.node import Context
from nodes.sources.ahead import QUEUE_MESSAGES
from nodes.sources.media import Media

pytestmark = pytest.mark.live

clip = pytest.fixture(grid_clip)


def test_real_speed_hands_sound_out_when_it_would_have_been_captured(tmp_path):
    path = write(
        tmp_path / "a.mp4", tone(48_000, 0.8), 48_000, [(i / 25, grey(9 * i)) for i in range(20)], "aac"
    )
    node, began, late = Media(path=str(path)), time.monotonic_ns(), []
    node.open(Context(name="clip"))
    try:
        while not node.finished:
            for m in node.step([]):
                due = m.t_start_ns if isinstance(m, Picture) else m.t_end_ns
                late.append((time.monotonic_ns() - due) / 1e6)
                assert m.t_start_ns >= began
            time.sleep(0.005)
    finally:
        node.close()
    assert len(late) > 80
    assert min(late) >= 0
    assert np.median(late) < 30


def test_speed_two_takes_half_the_time_and_leaves_the_times_alone(tmp_path):
    path, began = write(tmp_path / "a.wav", tone(16_000, 1.0), 16_000), time.monotonic()
    messages = play(path, speed=2.0)
    assert 0.95 < time.monotonic() - began < 1.8
    assert messages[-1].t_end_ns - messages[0].t_start_ns == pytest.approx(2 * SECOND, abs=2e6)


def test_a_loop_raises_the_epoch_and_goes_on_in_time(tmp_path):
    path = write(tmp_path / "a.wav", tone(16_000, 0.2), 16_000)
    node = Media(path=str(path), speed=0.0, loop=True)
    node.open(Context(name="clip", epoch=3))
    messages, deadline = [], time.monotonic() + 20
    while (not messages or messages[-1].epoch < 6) and time.monotonic() < deadline:
        messages += node.step([])
        time.sleep(0.001)
    assert not node.finished
    node.close()
    sound = of(messages, "audio")
    assert [m.seq for m in sound] == list(range(len(sound)))
    assert all(a.t_end_ns == b.t_start_ns for a, b in pairwise(sound))
    starts = {m.epoch: m.t_start_ns for m in reversed(sound)}
    assert starts == {3: 0, 4: 1.2 * SECOND, 5: 2.4 * SECOND, 6: 3.6 * SECOND}


def test_a_reader_nobody_steps_waits_and_closes_at_once(clip):
    node = Media(path=str(clip), speed=0.0, loop=True)
    node.open(Context(name="clip"))
    time.sleep(0.5)
    began = time.monotonic()
    node.close()
    assert time.monotonic() - began < 0.5
    assert len(node.step([])) == QUEUE_MESSAGES
    assert node.finished
