"""Errors are counted as Levenshtein counts them, intervals hold speakers together, confidence is checked."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.speech.score import calibration, edit_distance, excess_error_rate, right_words, word_error_rate

WORDS = st.lists(st.sampled_from(["bin", "blue", "at", "f"]), max_size=7)


@given(WORDS, WORDS)
def test_right_words_and_errors_add_up(said, heard):
    right = right_words(said, heard)
    errors = edit_distance(said, heard)
    assert len(right) == len(heard)
    assert max(len(said), len(heard)) - sum(right) <= errors <= len(said) + len(heard) - 2 * sum(right)
    assert edit_distance(heard, said) == errors
    assert (errors == 0) == (said == heard)


@pytest.mark.parametrize(
    ("heard", "errors", "right"),
    [
        ("bin blue at f", 0, [True] * 4),
        ("bin red at f", 1, [True, False, True, True]),
        ("blue at f", 1, [True] * 3),
        ("bin bin blue at f", 1, None),
        ("", 4, []),
    ],
)
def test_known_errors(heard, errors, right):
    said = ["bin", "blue", "at", "f"]
    assert edit_distance(said, heard.split()) == errors
    if right is not None:
        assert right_words(said, heard.split()) == right


def test_an_interval_over_speakers_is_wider_than_one_over_their_clips():
    # One speaker is never understood, the other three always.
    speakers = [name for name in "abcd" for _ in range(20)]
    said = [["bin", "blue"]] * 80
    heard = [[] if name == "a" else ["bin", "blue"] for name in speakers]
    by_clip, by_speaker = word_error_rate(said, heard), word_error_rate(said, heard, speakers)
    assert by_clip.percent == by_speaker.percent == 25.0
    assert by_speaker.high - by_speaker.low > 2 * (by_clip.high - by_clip.low)


def test_the_excess_is_paired():
    said = [["bin", "blue"]] * 30
    bad = [["bin"] if i % 2 else ["bin", "blue"] for i in range(30)]
    assert excess_error_rate(said, bad, bad) == excess_error_rate(said, said, said)
    worse = excess_error_rate(said, bad, said)
    assert (worse.percent, worse.words, worse.low > 0) == (25.0, 60, True)
    assert excess_error_rate(said, said, bad).percent == -25.0


def test_confidence_that_is_as_often_right_as_it_says_has_no_error():
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.3, 1.0, 20_000)
    honest = calibration(sure, rng.random(20_000) < sure)
    assert honest.error < 0.015
    assert sum(count for count, _, _ in honest.bins) == 20_000
    boastful = calibration([0.95] * 100, [True] * 60 + [False] * 40)
    assert boastful.error == pytest.approx(0.35)
    assert calibration([], []) is None
    assert calibration([1.0], [True]).error == 0.0
