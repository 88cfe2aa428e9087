"""Which lips have a say, and which have none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nodes.perception.trust import Trust, blend

WORDS = 6


def embeddings(seed, frames):
    """Unit vectors float32 [frames, 64]."""
    found = np.random.default_rng(seed).standard_normal((frames, 64))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def log_probs(frames, surest):
    """One word has probability ``surest`` in each frame, the blank nearly all the rest."""
    row = [1 - surest - 0.001 * (WORDS - 2), surest, *[0.001] * (WORDS - 2)]
    return np.log(np.tile(row, (frames, 1))).astype(np.float32)


def gates(sound, lips, heard, read, *, voice=0.9, seen=None, trust=None):
    """The gate after each chunk.  sound, lips: embeddings; heard, read: how sure either is of a word."""
    trust, out = trust or Trust(), []
    for first in range(0, len(sound), 4):
        now = slice(first, first + 4)

        def given_by(agreement, surest, now=now):
            return {
                "agreement": agreement[None, now],
                "voice": np.full((1, 4), voice, np.float32),
                "log_probs": log_probs(4, surest)[None],
            }

        there = seen is None or seen(first // 4)
        valid = np.full((1, 4), 0.9 * there, np.float32)
        out.append(trust.push(given_by(sound, heard), given_by(lips, read) if there else None, valid))
    return out


ONE, TWO = embeddings(1, 60), embeddings(2, 60)
# The sound neither well heard nor lost: in noise.
UNSURE = 0.25


def test_lips_that_move_with_the_voice_earn_a_say():
    # A little less alike than the lips that the models know are in the median.
    alike = ONE + 0.1 * np.random.default_rng(3).standard_normal(ONE.shape)
    told = gates(ONE, (alike / np.linalg.norm(alike, axis=1, keepdims=True)).astype(np.float32), UNSURE, 0.6)
    assert told[0] < 0.5 < min(told[2:])


def test_lips_of_something_else_hardly_ever_do():
    assert max(gates(ONE, TWO, UNSURE, 0.9)) < 0.05


@pytest.mark.parametrize(("frames", "trusted"), [(2, True), (-2, True), (6, False), (-6, False)])
def test_lips_a_little_late_are_trusted_and_very_late_ones_are_not(frames, trusted):
    told = gates(ONE, np.roll(ONE, frames, axis=0), UNSURE, 0.6)
    assert (told[-1] > 0.5) == trusted
    assert trusted or max(told) < 0.05


def test_words_that_are_heard_well_are_left_to_the_sound():
    assert max(gates(ONE, ONE, 0.9, 0.9)[4:]) == 0


def test_lips_that_nothing_can_be_read_off_have_no_say():
    assert max(gates(ONE, ONE, UNSURE, 0.1)) == 0
    assert max(gates(ONE, TWO, 0.01, 0.1)) == 0


def test_where_the_sound_tells_nothing_lips_that_can_be_read_are_enough():
    told = gates(ONE, TWO, 0.01, 0.8)
    assert told[0] == 0, "not before it is known that nothing is heard"
    assert told[-1] == 1


def test_where_nobody_speaks_lips_have_no_say():
    assert max(gates(ONE, ONE, UNSURE, 0.8, voice=0.1)) == 0


def test_lips_that_go_are_remembered_and_another_face_starts_anew():
    trust = Trust()
    gates(ONE, ONE, UNSURE, 0.6, trust=trust)
    gone = gates(ONE[:24], ONE[:24], UNSURE, 0.6, seen=lambda chunk: False, trust=trust)
    assert gone[0] > 0.5
    assert gone == sorted(gone, reverse=True)
    trust.reset()
    assert gates(ONE[:4], ONE[:4], UNSURE, 0.6, trust=trust) == gates(ONE[:4], ONE[:4], UNSURE, 0.6)


@settings(deadline=None, max_examples=30)
@given(
    arrays(np.float32, (12, 64), elements=st.floats(-1, 1, width=32)),
    st.floats(0.001, 0.9),
    st.floats(0.001, 0.9),
    st.floats(0, 1),
)
def test_the_gate_is_from_0_to_1_whatever_comes(lips, heard, read, voice):
    norm = np.maximum(np.linalg.norm(lips, axis=1, keepdims=True), 1e-3)
    assert all(0 <= gate <= 1 for gate in gates(ONE[:12], lips / norm, heard, read, voice=voice))


def test_a_closed_gate_gives_the_sound_to_the_bit_and_an_open_one_both():
    sound, both = log_probs(4, 0.7), log_probs(4, 0.2)
    assert blend(sound, both, 0.0) is sound
    np.testing.assert_allclose(blend(sound, both, 1.0), both, atol=1e-6)
    half = blend(sound, both, 0.5)
    np.testing.assert_allclose(np.exp(half).sum(axis=-1), 1, atol=1e-6)
    assert np.all((half[:, 1] > both[:, 1]) & (half[:, 1] < sound[:, 1]))
