"""Word error rate and how sure of it one can be."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


def edit_distance(reference: Sequence[str], heard: Sequence[str]) -> int:
    """Least insertions, deletions and substitutions (Levenshtein 1966)."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1]


@dataclass(frozen=True)
class WordErrorRate:
    """Percent, with a 95 % bootstrap interval over utterances (Bisani and Ney 2004)."""

    percent: float
    low: float
    high: float
    words: int
    utterances: int

    def __str__(self) -> str:
        return f"{self.percent:.1f} % ({self.low:.1f} to {self.high:.1f}, {self.words} words)"


def word_error_rate(
    references: Sequence[Sequence[str]], heard: Sequence[Sequence[str]], seed: int = 0
) -> WordErrorRate:
    """Raises ValueError where there is nothing to score or the lists differ in length."""
    errors = np.array([edit_distance(r, h) for r, h in zip(references, heard, strict=True)], np.float64)
    words = np.array([len(r) for r in references], np.float64)
    if not words.sum():
        raise ValueError("no reference words to score against")
    picks = np.random.default_rng(seed).integers(len(errors), size=(1000, len(errors)))
    rates = 100 * errors[picks].sum(1) / words[picks].sum(1).clip(min=1)
    low, high = np.percentile(rates, [2.5, 97.5])
    return WordErrorRate(100 * errors.sum() / words.sum(), low, high, int(words.sum()), len(errors))
