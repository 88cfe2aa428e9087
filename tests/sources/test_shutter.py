"""Where a driver gives times they are used; where its clock is its own, it is followed."""

import random

import pytest

from nodes.sources.shutter import Shutter

MS = 1_000_000
SECOND = 1_000 * MS
BOOT = 4_000 * SECOND


def test_without_a_driver_time_it_is_the_arrival_less_the_latency():
    assert Shutter(30 * MS).taken_ns(BOOT, None) == BOOT - 30 * MS


def test_a_driver_with_the_hosts_clock_is_right_whatever_the_arrival():
    chance, shutter = random.Random(1), Shutter(30 * MS)
    for i in range(100):
        taken = BOOT + i * 33 * MS
        assert shutter.taken_ns(taken + chance.randint(5, 400) * MS, taken) == taken


def test_a_clock_of_its_own_smooths_the_arrivals():
    """An RTSP camera 150 ppm fast, whose pictures take 20 to 60 ms over the network."""
    chance, shutter = random.Random(2), Shutter(40 * MS)
    errors = []
    for i in range(25 * 600):
        taken = BOOT + i * 40 * MS
        driver = round(i * 40 * MS * (1 + 150e-6)) + 5 * MS
        arrived = taken + chance.randint(20, 60) * MS
        errors.append((shutter.taken_ns(arrived, driver) - taken) / MS)
    assert max(map(abs, errors[250:])) < 12
    assert max(map(abs, errors[3000:])) < 2
    assert shutter.jumps == 0


def test_only_a_clock_of_its_own_is_told_of():
    arriving, stamped, own = Shutter(0), Shutter(0), Shutter(0)
    for i in range(100):
        taken = 10 * SECOND + i * 40 * MS
        arriving.taken_ns(taken, None)
        stamped.taken_ns(taken + 5 * MS, taken)
        own.taken_ns(taken, i * 40 * MS + 1)
    assert arriving.clock is None
    assert stamped.clock is None
    assert own.clock["offset_ms"] == pytest.approx(10_000, abs=1)


def test_a_camera_that_restarts_its_clock_is_a_jump():
    shutter = Shutter(0)
    for i in range(200):
        shutter.taken_ns(BOOT + i * 40 * MS, 70 * SECOND + i * 40 * MS)
    assert shutter.jumps == 0
    for i in range(200, 300):
        taken = shutter.taken_ns(BOOT + i * 40 * MS, (i - 200) * 40 * MS)
        assert taken == pytest.approx(BOOT + i * 40 * MS, abs=MS)
    assert shutter.jumps == 1


@pytest.mark.parametrize("wrong", ["forward", "back", "twice"])
def test_stamps_that_jump_and_come_twice_move_no_picture(wrong):
    """A driver of the host's clock whose stamps go wrong for two seconds and are right again."""
    shutter = Shutter(0)
    moved = {"forward": 5 * SECOND, "back": -5 * SECOND, "twice": 0}[wrong]
    for i in range(200):
        arrived = BOOT + i * 40 * MS
        stamp = arrived - 10 * MS
        if 100 <= i < 150:
            stamp = stamp + moved if moved else BOOT + (i - i % 2) * 40 * MS - 10 * MS
        taken = shutter.taken_ns(arrived, stamp)
        assert abs(taken - arrived) <= 50 * MS, i
        assert taken <= arrived
    assert shutter.jumps == 0, "one stretch of time, so one epoch"


@pytest.mark.parametrize("fps", [5, 12, 30, 120])
def test_the_period_follows_the_pictures(fps):
    shutter = Shutter(0)
    for i in range(50):
        shutter.taken_ns(BOOT + i * SECOND // fps, None)
    assert shutter.period_ns == pytest.approx(SECOND / fps, rel=0.02)
