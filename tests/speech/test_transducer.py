"""The search of a transducer, on models whose every answer is known."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.speech.transducer import Chosen, Search, words_of

TOKENS = ["<blk>", "<sos/eos>", "<unk>", "\u2581GO", "\u2581HO", "ME", "\u2581"]
BLK, SOS, UNK, GO, HO, ME, SPACE = range(7)
MS = 1_000_000


class Table:
    """Log-probabilities by the last token: those of row ``context[-1]``, added to what the encoding says."""

    tokens, context = TOKENS, 2

    def __init__(self, rng=None):
        size = len(TOKENS)
        self.bias = np.zeros((size, size)) if rng is None else rng.normal(0, 1, (size, size))
        self.predicted = 0

    def predict(self, contexts):
        self.predicted += len(contexts)
        return self.bias[contexts[:, -1]].astype(np.float32)

    def join(self, encodings, predictions):
        scores = encodings + predictions
        return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


def says(*tokens, sure=8.0):
    """An encoding a frame, each for one token."""
    return np.stack([np.where(np.arange(len(TOKENS)) == token, sure, 0.0) for token in tokens]).astype(
        np.float32
    )


def times(frames, start=0):
    return [start + i * 40 * MS for i in range(frames + 1)]


@pytest.mark.parametrize("beam", [1, 4])
def test_pieces_become_words_with_their_times(beam):
    frames = says(BLK, GO, BLK, HO, ME, BLK)
    words = Search(Table(), beam).push(frames, times(6), "a")
    assert [(w.text, w.t_start_ns // MS, w.t_end_ns // MS) for w in words] == [
        ("go", 40, 80),
        ("home", 120, 200),
    ]
    assert all(w.heard_by == "a" and 0.9 < w.confidence <= 1 for w in words)


@pytest.mark.parametrize("beam", [1, 4])
def test_what_was_heard_in_pieces_is_what_was_heard_at_once(beam):
    frames = np.random.default_rng(5).normal(0, 2, (40, len(TOKENS))).astype(np.float32)
    whole = Search(Table(), beam).push(frames, times(40), "a")
    search = Search(Table(), beam)
    for start in range(0, 40, 8):
        search.push(frames[start : start + 8], times(8, start * 40 * MS), "a")
    assert search.finish() == whole
    search.reset()
    assert search.finish() == []
    assert search.push(frames, times(40), "a") == whole


def test_marks_are_no_words_and_the_unknown_changes_no_context():
    table = Table()
    words = Search(table, 1).push(says(SOS, UNK, GO, UNK, ME), times(5), "a")
    assert [w.text for w in words] == ["gome"]
    assert table.predicted == 3  # at the start, after <sos/eos>, and after GO


def test_a_piece_without_a_beginning_and_a_lone_space():
    assert [w.text for w in words_of([Chosen(ME, 0, 1, 0.0)], TOKENS)] == ["me"]
    assert words_of([Chosen(SPACE, 0, 1, 0.0)], TOKENS) == []
    assert [w.text for w in words_of([Chosen(SPACE, 0, 1, 0.0), Chosen(ME, 1, 2, 0.0)], TOKENS)] == ["me"]


def test_confidence_is_the_geometric_mean_of_the_pieces():
    pieces = [Chosen(HO, 0, 1, np.log(0.5)), Chosen(ME, 1, 2, np.log(0.125))]
    assert words_of(pieces, TOKENS)[0].confidence == 0.25


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000))
def test_a_wide_beam_finds_the_best_of_all_sequences(seed):
    """Every alignment of three frames added up by hand, the best by mean log-probability of a token."""
    rng = np.random.default_rng(seed)
    table, frames = Table(rng), rng.normal(0, 2, (3, len(TOKENS))).astype(np.float32)
    totals = {}
    for path in itertools.product(range(len(TOKENS)), repeat=3):
        said, log_prob = (), 0.0
        for frame, token in zip(frames, path, strict=True):
            context = np.array([[-1, *([BLK, *said][-1:])]])
            log_prob += float(table.join(frame[None], table.predict(context))[0, token])
            said = said if token in (BLK, UNK) else (*said, token)
        totals[said] = np.logaddexp(totals.get(said, -np.inf), log_prob)
    expected = max(totals, key=lambda said: totals[said] / (len(said) + 2))
    search = Search(table, 400)
    search.push(frames, times(3), "a")
    paths = {tuple(step.token for step in path.chosen): path for path in search._paths}
    assert max(paths, key=lambda said: paths[said].score) == expected
    assert paths[expected].log_prob == pytest.approx(totals[expected], abs=1e-4)


@given(seed=st.integers(0, 200), beam=st.integers(1, 6))
@settings(max_examples=25, deadline=None)
def test_words_follow_each_other_and_no_more_paths_are_kept_than_the_beam(seed, beam):
    frames = np.random.default_rng(seed).normal(0, 3, (30, len(TOKENS))).astype(np.float32)
    search = Search(Table(), beam)
    words = search.push(frames, times(30), "a")
    assert len(search._paths) <= beam
    assert len(search._predicted) <= beam
    assert all(0 < w.confidence <= 1 and w.t_start_ns < w.t_end_ns for w in words)
    assert all(a.t_end_ns <= b.t_start_ns for a, b in itertools.pairwise(words))
