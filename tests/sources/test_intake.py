"""Sound card callbacks, simulated: each sample gets its time whatever clock and delays do."""

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.sources.intake import Heard, Intake

MS = 1_000_000
SECOND = 1_000 * MS
BEGAN = 900 * SECOND
RAMP = 1e7  # samples until full scale


class Card:
    """Captures a ramp that tells every sample from every other; sample i exists at ``time(i)``."""

    def __init__(self, rate=48_000, ppm=0.0, seed=0):
        self.rate, self.step = rate, SECOND / rate / (1 + ppm * 1e-6)
        self.chance = random.Random(seed)
        self.position = 0

    def time(self, sample):
        return BEGAN + round(sample * self.step)

    def callback(self, count=1200, late=0.0, says=0.0, overflow=False):
        """late: s from the last sample to the callback.  says: s the stream claims that to be."""
        ramp = (self.position + np.arange(count, dtype=np.float64)) / RAMP
        start, self.position = self.position, self.position + count
        arrived = self.time(self.position) + round(late * SECOND)
        length = count / self.rate
        return Heard(
            start,
            arrived,
            round((length + says) * SECOND),
            ramp.astype(np.float32)[:, None].repeat(2, 1),
            overflow,
        )


def errors_ms(card, blocks):
    """How far each block's ends are from when its first and last samples existed, read from the ramp."""
    out = []
    for block in blocks:
        middle = block.samples[100:-100]
        first = (
            float(middle.mean(dtype=np.float64)) * RAMP - (block.samples.size - 1) / 2 * card.rate / 16_000
        )
        out.append((block.t_start_ns - card.time(first)) / MS)
        out.append((block.t_end_ns - card.time(first + block.samples.size * card.rate / 16_000)) / MS)
    return out


@settings(max_examples=8, deadline=None)
@given(st.floats(-500, 500), st.integers(0, 100))
def test_samples_of_a_drifting_card_keep_their_times(ppm, seed):
    card = Card(ppm=ppm, seed=seed)
    intake = Intake(card.rate)
    blocks = [
        b for _ in range(40 * 30) for b in intake.feed(card.callback(late=card.chance.expovariate(1000)))
    ]
    assert sum(b.samples.size for b in blocks) == pytest.approx(30 * 16_000, abs=400)
    assert all(a.t_end_ns == b.t_start_ns for a, b in pairwise(blocks))
    assert {b.epoch for b in blocks} == {0}
    assert max(map(abs, errors_ms(card, blocks[:80]))) < 8
    assert max(map(abs, errors_ms(card, blocks[-80:]))) < 2.5


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 96_000])
def test_blocks_are_16_khz_whatever_the_rate(rate):
    card = Card(rate=rate)
    intake = Intake(rate)
    blocks = [b for _ in range(100) for b in intake.feed(card.callback(count=rate // 40))]
    assert sum(b.samples.size for b in blocks) == pytest.approx(2.5 * 16_000, abs=350)
    assert all(b.samples.dtype == np.float32 and 320 <= b.samples.size <= 800 for b in blocks)


@pytest.mark.parametrize(("delay", "epochs"), [(0.010, {0}), (0.150, {0, 1})])
def test_a_steady_delay_is_believed(delay, epochs):
    """A card that is heard late and says so; what is more than the clock can slew over is a jump, once."""
    card = Card()
    intake = Intake(card.rate)
    blocks = [b for _ in range(6000) for b in intake.feed(card.callback(late=delay, says=delay))]
    assert max(map(abs, errors_ms(card, blocks[-50:]))) < 2
    assert {b.epoch for b in blocks} == epochs


def test_a_wandering_delay_is_not_believed():
    """What PulseAudio's plugin reports: slow wander by tens of milliseconds, while sound arrives on time."""
    card = Card()
    intake = Intake(card.rate)
    blocks = []
    for i in range(4000):
        says = 0.020 + 0.015 * np.sin(i / 30) - 0.012 * (i % 2)
        blocks += intake.feed(card.callback(late=0.001, says=says))
    assert max(map(abs, errors_ms(card, blocks[200:]))) < 3


def test_dropped_callbacks_leave_a_hole_of_their_length():
    card = Card()
    intake = Intake(card.rate)
    before = [b for _ in range(200) for b in intake.feed(card.callback(late=0.001))]
    for _ in range(20):
        card.callback()
    after = [b for _ in range(50) for b in intake.feed(card.callback(late=0.001))]
    rest, after = after[0], after[1:]
    assert rest.t_start_ns == before[-1].t_end_ns
    assert (after[0].t_start_ns - rest.t_end_ns) / MS == pytest.approx(20 * 25, abs=1)
    assert max(map(abs, errors_ms(card, after))) < 3
    assert {b.epoch for b in after} == {0}


def test_an_overflow_leaves_a_hole_of_what_was_lost():
    """The card overflowed: 150 ms are missing though its positions go on without a break."""
    card = Card()
    intake = Intake(card.rate)
    before = [b for _ in range(400) for b in intake.feed(card.callback(late=0.001))]
    lost = 7200
    after = []
    for i in range(200):
        heard = card.callback(late=0.001, overflow=i == 0)
        after += intake.feed(
            Heard(
                heard.position,
                heard.arrived_ns + round(lost * card.step),
                heard.delay_ns,
                heard.samples,
                heard.overflow,
            )
        )
    holes = [(b.t_start_ns - a.t_end_ns) / MS for a, b in pairwise([*before, *after])]
    assert max(holes) == pytest.approx(150, abs=2)
    assert sum(hole > 0 for hole in holes) == 1
    assert {b.epoch for b in after} == {0}
    shifted = [e - lost * card.step / MS for e in errors_ms(card, after[2:])]
    assert max(map(abs, shifted)) < 3


def test_a_jump_of_the_cards_clock_raises_the_epoch():
    card = Card()
    intake = Intake(card.rate)
    blocks = [b for _ in range(200) for b in intake.feed(card.callback())]
    later = []
    for _ in range(200):
        heard = card.callback()
        later += intake.feed(
            Heard(heard.position, heard.arrived_ns + 300 * MS, heard.delay_ns, heard.samples, False)
        )
    assert {b.epoch for b in blocks} == {0}
    assert later[-1].epoch == 1
    assert [e - 300 for e in errors_ms(card, later[-20:])] == pytest.approx([0] * 40, abs=3)
