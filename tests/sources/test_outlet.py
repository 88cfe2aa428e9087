"""What a device's port tells while nothing comes: at once, at pace, never in a flood."""

from itertools import pairwise

import pytest

from nodes.runtime.messages import Audio, Gap
from nodes.runtime.node import Context
from nodes.sources.outlet import Outlet

MS = 1_000_000


class Hours:
    def __init__(self):
        self.now = 7_000 * MS

    def __call__(self):
        return self.now


@pytest.fixture
def hours():
    return Hours()


@pytest.fixture
def outlet(hours):
    return Outlet(Context(name="microphone", epoch=5, now_ns=hours), "audio", "microphone 'x'")


def ticks(outlet, hours, count, absence):
    """What ``count`` steps, 20 ms apart, give."""
    made = []
    for _ in range(count):
        hours.now += 20 * MS
        made += outlet.idle(absence)
    return made


def test_an_absent_device_is_told_25_times_a_second(outlet, hours):
    gaps = ticks(outlet, hours, 53, "microphone 'x' not found")
    assert len(gaps) == 25
    assert {(type(g), g.of, g.reason, g.epoch) for g in gaps} == {
        (Gap, "audio", "microphone 'x' not found", 5)
    }
    assert [g.t_start_ns for g in gaps] == [7_000 * MS + i * 40 * MS for i in range(25)]
    assert {g.t_end_ns - g.t_start_ns for g in gaps} == {40 * MS}


def test_a_working_device_may_be_late_but_not_for_long(outlet, hours):
    assert ticks(outlet, hours, 14, None) == []
    gaps = ticks(outlet, hours, 10, None)
    assert {g.reason for g in gaps} == {"microphone 'x' stalls"}
    assert gaps[-1].t_end_ns > hours.now - 110 * MS


def test_an_hour_away_is_one_long_gap_and_not_ninety_thousand(outlet, hours):
    hours.now += 3_600_000 * MS
    gaps = outlet.idle("microphone 'x' not found")
    assert len(gaps) <= 26
    assert gaps[0].t_start_ns == 7_000 * MS
    assert all(a.t_end_ns == b.t_start_ns for a, b in pairwise(gaps))
    assert hours.now - gaps[-1].t_end_ns <= 100 * MS


def test_what_is_sent_goes_on_from_the_gaps(outlet, hours):
    gaps = ticks(outlet, hours, 20, "microphone 'x' not found")
    start = outlet.end_ns
    sound = outlet.send(Audio, 6, start, start + 40 * MS, samples=None)
    more = outlet.gap(start + 100 * MS, "lost")
    assert (sound.seq, more.seq) == (len(gaps), len(gaps) + 1)
    assert (sound.epoch, more.epoch, more.t_start_ns) == (6, 6, sound.t_end_ns)
