"""Word error rate, how sure of it one can be, and how far confidence can be believed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
BINS = 10


def edit_distance(reference: Sequence[str], heard: Sequence[str]) -> int:
    """Least insertions, deletions and substitutions (Levenshtein 1966)."""
    return int(_distances(reference, heard)[-1, -1])


def right_words(reference: Sequence[str], heard: Sequence[str]) -> list[bool]:
    """Of each word heard, whether the best alignment pairs it with the same word of the reference."""
    table = _distances(reference, heard)
    right = [False] * len(heard)
    i, j = len(reference), len(heard)
    while i and j:
        if reference[i - 1] == heard[j - 1] and table[i, j] == table[i - 1, j - 1]:
            i, j = i - 1, j - 1
            right[j] = True
        elif table[i, j] == table[i - 1, j - 1] + 1:
            i, j = i - 1, j - 1
        elif table[i, j] == table[i, j - 1] + 1:
            j -= 1
        else:
            i -= 1
    return right


def _distances(reference: Sequence[str], heard: Sequence[str]) -> NDArray[np.int64]:
    """[i, j]: of the first i words of the reference from the first j heard."""
    table = np.zeros((len(reference) + 1, len(heard) + 1), np.int64)
    table[:, 0], table[0] = range(len(reference) + 1), range(len(heard) + 1)
    for i, word in enumerate(reference, 1):
        for j, other in enumerate(heard, 1):
            changed = table[i - 1, j - 1] + (word != other)
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, changed)
    return table


@dataclass(frozen=True)
class WordErrorRate:
    """Percent, with a 95 % bootstrap interval (Bisani and Ney 2004)."""

    percent: float
    low: float
    high: float
    words: int
    utterances: int

    def __str__(self) -> str:
        return f"{self.percent:.1f} % ({self.low:.1f} to {self.high:.1f}, {self.words} words)"


def word_error_rate(
    references: Sequence[Sequence[str]], heard: Sequence[Sequence[str]], speakers: Sequence[str] = ()
) -> WordErrorRate:
    """speakers: of each utterance; the interval is over utterances, and speakers where several.

    Raises ValueError where there is nothing to score or the lists differ in length.
    """
    return _rate(references, _errors(references, heard), speakers)


def excess_error_rate(
    references: Sequence[Sequence[str]],
    heard: Sequence[Sequence[str]],
    instead: Sequence[Sequence[str]],
    speakers: Sequence[str] = (),
) -> WordErrorRate:
    """By how many points the word error rate of ``heard`` is above that of ``instead``, pair by pair."""
    return _rate(references, _errors(references, heard) - _errors(references, instead), speakers)


def _errors(references: Sequence[Sequence[str]], heard: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    return np.array([edit_distance(r, h) for r, h in zip(references, heard, strict=True)], np.float64)


def _rate(
    references: Sequence[Sequence[str]], errors: NDArray[np.float64], speakers: Sequence[str]
) -> WordErrorRate:
    words = np.array([len(r) for r in references], np.float64)
    if not words.sum():
        raise ValueError("no reference words to score against")
    counts = _resampled(tuple(speakers) or (("",) * len(words)))
    rates = 100 * (counts @ errors) / (counts @ words).clip(min=1)
    low, high = np.percentile(rates, [2.5, 97.5])
    return WordErrorRate(100 * errors.sum() / words.sum(), low, high, int(words.sum()), len(errors))


@lru_cache(maxsize=16)
def _resampled(speakers: tuple[str, ...]) -> NDArray[np.float64]:
    """How often each utterance is in each resample, [1000, n]: speakers, then utterances of each."""
    rng = np.random.default_rng(0)
    names = sorted(set(speakers))
    of = {name: np.flatnonzero([speaker == name for speaker in speakers]) for name in names}
    counts = np.zeros((RESAMPLES, len(speakers)))
    for row in counts:
        for drawn in rng.integers(len(names), size=len(names)):
            theirs = of[names[drawn]]
            np.add.at(row, theirs[rng.integers(len(theirs), size=len(theirs))], 1)
    return counts


@dataclass(frozen=True)
class Calibration:
    """error: expected calibration error, 0..1 (Guo et al. 2017), of ``words``.

    bins: for each tenth of confidence that has words: their number, mean confidence, and share that is right.
    """

    error: float
    words: int
    bins: tuple[tuple[int, float, float], ...]

    def __str__(self) -> str:
        return f"{100 * self.error:.1f} points ({self.words} words)"


def calibration(confidences: Sequence[float], right: Sequence[bool]) -> Calibration | None:
    """Over ten bins of equal width; None without words."""
    sure, correct = np.array(confidences, np.float64), np.array(right, np.float64)
    if not len(sure):
        return None
    bin_of = np.minimum((sure * BINS).astype(int), BINS - 1)
    bins = [
        (int(here.sum()), float(sure[here].mean()), float(correct[here].mean()))
        for here in (bin_of == index for index in range(BINS))
        if here.any()
    ]
    error = sum(count * abs(mean - share) for count, mean, share in bins) / len(sure)
    return Calibration(error, len(sure), tuple(bins))
