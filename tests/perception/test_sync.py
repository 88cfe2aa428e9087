"""The offset between sound and picture, from embeddings whose offset is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.perception.sync import FRAMES, OFFSET_PAIRS, TOGETHER, Sync

ALWAYS = np.ones(4, bool)


def moving(seed, frames, grain=4):
    """Unit vectors float32 [frames * grain, 64] that change smoothly, as speech does."""
    rng = np.random.default_rng(seed)
    path = rng.normal(size=(frames * grain + 40, 64))
    smooth = np.stack([np.convolve(path[:, i], np.hanning(3 * grain), "same") for i in range(64)], axis=1)
    smooth = smooth[20 : 20 + frames * grain]
    return (smooth / np.linalg.norm(smooth, axis=1, keepdims=True)).astype(np.float32)


def measure(late_ms, seed=0, frames=80, noise=0.0, likeness=1.0, spoken=None, seen=None):
    grain = 4
    truth = moving(seed, frames + 20, grain)
    start = 10 * grain
    heard = truth[start : start + frames * grain : grain]
    # A picture that is late shows at frame t what was said ``late_ms`` before.
    shift = round(late_ms / 40 * grain)
    lips = truth[start - shift : start - shift + frames * grain : grain]
    rng = np.random.default_rng(seed + 1)
    heard, lips = (x + noise * rng.normal(size=x.shape).astype(np.float32) for x in (heard, lips))
    heard, lips = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (heard, lips))
    heard = heard / likeness
    sync = Sync()
    for i in range(0, frames, 4):
        rows = slice(i, i + 4)
        sync.push(
            heard[rows],
            lips[rows],
            ALWAYS if spoken is None else spoken[rows],
            ALWAYS if seen is None else seen[rows],
        )
    return sync.error_ms()


@settings(max_examples=40, deadline=None)
@given(late=st.integers(-24, 24), seed=st.integers(0, 1000), noise=st.sampled_from([0.0, 0.06]))
def test_offsets_within_six_frames_are_told_to_a_quarter_of_one(late, seed, noise):
    likeness = 1 / (1 + 64 * noise**2)  # the cosine that the noise leaves: what ``calibrate`` would find
    told = measure(late * 10, seed, noise=noise, likeness=likeness)
    assert told == pytest.approx(late * 10, abs=10)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_a_voice_and_lips_that_do_not_belong_together_say_nothing(seed):
    assert measure(0, seed, noise=3.0) is None


def test_nothing_is_said_before_a_second_of_speech_was_seen():
    assert measure(0, frames=28) is None
    assert measure(0, spoken=np.arange(80) < 20) is None
    assert measure(0, seen=np.arange(80) >= 70) is None
    assert measure(0, frames=48) == pytest.approx(0, abs=10)


def test_sentences_that_only_begin_alike_have_no_offset():
    """ "Bin blue by ..." and "bin blue in ..." go together for a second, 160 ms apart."""
    sync, voice, lips = Sync(), moving(0, 200, 1), moving(1, 200, 1)
    for i in range(0, 44, 4):
        sync.push(voice[i : i + 4], voice[i + 4 : i + 8], ALWAYS, ALWAYS)
    assert sync.error_ms() == pytest.approx(-160, abs=10)
    for i in range(44, 60, 4):
        sync.push(voice[i : i + 4], lips[i : i + 4], ALWAYS, ALWAYS)
    assert sync.curve(FRAMES, OFFSET_PAIRS).max() > TOGETHER, "in the mean they still do"
    assert sync.error_ms() is None


def test_an_offset_beyond_its_reach_is_not_guessed():
    assert measure(320) is None


def test_only_the_last_seconds_count():
    sync, vectors = Sync(), moving(0, 200, 1)
    for i in range(0, 100, 4):
        sync.push(vectors[i : i + 4], vectors[i + 2 : i + 6], ALWAYS, ALWAYS)
    assert sync.error_ms() == pytest.approx(-80, abs=10)
    for i in range(100, 180, 4):
        sync.push(vectors[i : i + 4], vectors[i - 2 : i + 2], ALWAYS, ALWAYS)
    assert sync.error_ms() == pytest.approx(80, abs=10)
