"""Recordings cut out of longer ones: their words stay in place, and little else is left."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engines.speech.cuts import BELOW, CLOSE, cut_alone, cut_close, levels, trim
from engines.speech.dataset import Utterance
from engines.speech.features import SAMPLE_RATE


@given(
    st.lists(st.floats(0.06, 0.9), min_size=1, max_size=6),
    st.floats(0.0, 0.6),
    st.floats(0.0, 0.6),
    st.integers(0, 2**32 - 1),
)
def test_a_clip_cut_close_keeps_its_words_in_place_and_little_else(durations, lead, tail, seed):
    ends = lead + np.cumsum(durations)
    words = tuple(
        (i + 1, float(e - d), float(e)) for i, (e, d) in enumerate(zip(ends, durations, strict=True))
    )
    whole = Utterance("u", "v", "k", "train", 1000, 1000 + round((ends[-1] + tail) * SAMPLE_RATE), words)
    cut = cut_close(whole, np.random.default_rng(seed))
    assert whole.start <= cut.start < cut.end <= whole.end
    assert [w for w, _, _ in cut.words] == [w for w, _, _ in whole.words]
    moved = (cut.start - whole.start) / SAMPLE_RATE
    for (_, start, end), (_, was_start, was_end) in zip(cut.words, whole.words, strict=True):
        assert 0 <= start < end <= cut.seconds + 1e-3
        assert start + moved == pytest.approx(was_start, abs=max(CLOSE) - min(CLOSE))
        assert end + moved == pytest.approx(was_end, abs=max(CLOSE) - min(CLOSE))
    assert cut.words[0][1] <= max(CLOSE) + 1e-3
    assert cut.seconds - cut.words[-1][2] <= max(CLOSE) + 1e-3


def test_of_a_sentence_cut_to_one_word_nothing_else_is_left():
    rng = np.random.default_rng(0)
    said = Utterance("u", "v", "made", "train", 16000, 64000, ((3, 0.5, 0.9), (7, 0.95, 1.5), (9, 1.8, 2.6)))
    kept = {cut_alone(said, rng) for _ in range(40)}
    assert {each.words[0][0] for each in kept} == {3, 7, 9}
    for each in kept:
        ((token, start, end),) = each.words
        _, began, ended = next(word for word in said.words if word[0] == token)
        assert end - start == pytest.approx(ended - began)
        assert each.start + start * SAMPLE_RATE == pytest.approx(said.start + began * SAMPLE_RATE, abs=1)
        assert each.seconds <= end - start + 0.11


def spoken(*stretches):
    """int16 sound of stretches (seconds, decibels), a second of silence before."""
    rng = np.random.default_rng(0)
    noise = [rng.choice([-1, 1], round(s * SAMPLE_RATE)) * 10 ** (db / 20) for s, db in stretches]
    return torch.from_numpy(
        np.concatenate([np.zeros(SAMPLE_RATE), *noise, np.zeros(SAMPLE_RATE)]).astype(np.int16)
    )


def test_weak_consonants_at_the_ends_go_with_the_silence_that_is_trimmed():
    sound = spoken((0.15, 50), (0.25, 70), (0.05, 30), (0.15, 50), (0.2, 10))
    said = Utterance(
        "u", "v", "made", "train", SAMPLE_RATE, SAMPLE_RATE + round(0.8 * SAMPLE_RATE), ((6, 0.0, 0.6),)
    )
    rng = np.random.default_rng(0)
    cuts = [trim(said, levels(sound), rng) for _ in range(200)]
    starts = {round((cut.start - said.start) / SAMPLE_RATE, 2) for cut in cuts}
    ends = {round((cut.end - said.start) / SAMPLE_RATE, 2) for cut in cuts}
    assert starts == {0.0, 0.15}, "an onset 20 dB below the vowel"
    assert ends == {0.4, 0.6}
    assert all(cut.words == ((6, 0.0, pytest.approx(cut.seconds, abs=1e-3)),) for cut in cuts)


def test_a_quiet_last_word_is_not_trimmed_off():
    sound = spoken((0.3, 70), (0.2, 20), (0.3, 35), (0.2, 10))
    said = Utterance("u", "v", "made", "train", SAMPLE_RATE, 2 * SAMPLE_RATE, ((6, 0.0, 0.3), (7, 0.5, 0.8)))
    cut = trim(said, levels(sound), np.random.default_rng(0))
    assert [word for word, _, _ in cut.words] == [6, 7]
    assert cut.seconds == pytest.approx(0.8, abs=0.02)
    assert max(BELOW) < 70 - 35, "quieter than the rest than what is trimmed"
