"""Another host's clock, from simulated exchanges: whatever the link does, the truth is within the bounds."""

import random
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from nodes.runtime.hostclock import DRIFT, NEEDED, HostClock

MS = 1_000_000
SECOND = 1_000 * MS


class There:
    """The other host's clock: ``offset_ns`` behind this one's at 0, ``ppm`` fast."""

    def __init__(self, offset_ns, ppm=0.0):
        self.offset_ns, self.ppm = offset_ns, ppm

    def shows(self, here_ns):
        return round(here_ns * (1 + self.ppm * 1e-6)) - self.offset_ns

    def truth_ns(self, here_ns):
        return here_ns - self.shows(here_ns)


def exchange(clock, there, at_ns, to_ns, back_ns, think_ns=50_000):
    """A question asked at ``at_ns`` that takes ``to_ns``, its answer ``back_ns``; gives when it is here."""
    came_ns = at_ns + to_ns
    left_ns = came_ns + think_ns
    clock.learn(at_ns, there.shows(came_ns), there.shows(left_ns), left_ns + back_ns)
    return left_ns + back_ns


delays = st.tuples(st.floats(0, 200), st.floats(0, 200))


@settings(deadline=None)
@given(
    offset_ns=st.integers(-(10**15), 10**15),
    ppm=st.floats(-DRIFT * 0.98e6, DRIFT * 0.98e6),
    pauses_s=st.lists(st.tuples(st.floats(0.05, 30), delays), min_size=NEEDED, max_size=60),
    asked_s=st.floats(0, 60),
)
@example(10**14, 400.0, [(0.25, (1.0, 180.0))] * 30, 10.0)
def test_the_truth_is_within_the_bounds_whatever_the_delays_losses_and_drift(
    offset_ns, ppm, pauses_s, asked_s
):
    clock, there, now_ns = HostClock(), There(offset_ns, ppm), 10 * SECOND
    for pause_s, (to_ms, back_ms) in pauses_s:
        now_ns += round(pause_s * SECOND)
        now_ns = exchange(clock, there, now_ns, round(to_ms * MS), round(back_ms * MS))
        if clock.known:
            error_ns = abs(clock.offset_ns(now_ns) - there.truth_ns(now_ns))
            assert error_ns <= clock.uncertainty_ns(now_ns) + 2
    now_ns += round(asked_s * SECOND)
    error_ns = abs(clock.offset_ns(now_ns) - there.truth_ns(now_ns))
    assert error_ns <= clock.uncertainty_ns(now_ns) + 2
    assert clock.steps == 0


@settings(deadline=None, max_examples=12)
@given(
    seed=st.integers(0, 10**6),
    ppm=st.floats(-60, 60),
    jitter_ms=st.sampled_from([0.1, 2.0, 10.0, 30.0]),
    loss=st.sampled_from([0.0, 0.02, 0.3]),
)
def test_jitter_and_loss_that_are_alike_both_ways_leave_less_than_half_of_it(seed, ppm, jitter_ms, loss):
    chance, clock, there = random.Random(seed), HostClock(), There(-7 * 10**12, ppm)
    worst_ns = 0
    for i in range(1200):  # five minutes
        if chance.random() < loss:
            continue
        to_ms, back_ms = (40 + chance.uniform(-1, 1) * jitter_ms for _ in range(2))
        now_ns = exchange(clock, there, 10 * SECOND + i * SECOND // 4, round(to_ms * MS), round(back_ms * MS))
        if i > 40:
            worst_ns = max(worst_ns, abs(clock.offset_ns(now_ns) - there.truth_ns(now_ns)))
    # An unlucky stretch of a few seconds has no quick message one way; older bounds have loosened by then.
    assert worst_ns < (1.0 + jitter_ms / 2) * MS


@given(step_s=st.floats(0.5, 10_000), forward=st.booleans(), drawn=st.integers(0, 10**6))
def test_a_clock_that_steps_as_after_suspend_is_noticed_at_once_and_learned_anew(step_s, forward, drawn):
    chance, clock, there, now_ns = random.Random(drawn), HostClock(), There(123), 10 * SECOND
    for _ in range(20):
        now_ns = exchange(
            clock, there, now_ns + SECOND // 4, *(round(chance.uniform(1, 50) * MS) for _ in range(2))
        )
    assert clock.known
    there.offset_ns += round(step_s * SECOND) * (1 if forward else -1)
    now_ns = exchange(clock, there, now_ns + SECOND // 4, 10 * MS, 10 * MS)
    assert (clock.steps, clock.known) == (1, False)
    for _ in range(NEEDED):
        now_ns = exchange(clock, there, now_ns + SECOND // 4, 10 * MS, 12 * MS)
    assert clock.known
    assert abs(clock.offset_ns(now_ns) - there.truth_ns(now_ns)) <= 2 * MS
    assert clock.steps == 1


def test_what_is_applied_changes_slowly_so_that_times_keep_their_order():
    chance, clock, there, now_ns = random.Random(1), HostClock(), There(10**13, 30), SECOND
    told = []
    for _ in range(400):
        now_ns = exchange(
            clock, there, now_ns + SECOND // 10, *(round(chance.uniform(30, 120) * MS) for _ in range(2))
        )
        if clock.known and abs(clock.offset_ns(now_ns) - there.truth_ns(now_ns)) < 5 * MS:
            told.append((now_ns, there.shows(now_ns) + clock.offset_ns(now_ns)))
    for (before_ns, before), (after_ns, after) in pairwise(told):
        assert abs((after - before) - (after_ns - before_ns)) <= 0.006 * (after_ns - before_ns)


def test_an_answer_that_cannot_be_is_ignored():
    clock, there = HostClock(), There(5)
    for i in range(NEEDED):
        exchange(clock, there, i * SECOND, MS, MS)
    before = clock.offset_ns(NEEDED * SECOND)
    clock.learn(60 * SECOND, 10, 5, 60 * SECOND + MS)  # answered before it came
    clock.learn(60 * SECOND, 5, 10, 50 * SECOND)  # here before it was sent
    assert clock.offset_ns(60 * SECOND) == before
    assert clock.steps == 0
