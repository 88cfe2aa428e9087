"""The wide part of the words expert: logistic regression on the buckets of whole corpora."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from engines.sentiment.words.corpora import UNLABELLED, Sentence, unmarked
from engines.sentiment.words.grams import BUCKETS, NONE, buckets

LOOSE = 4.0  # how much a label counts against a weight's square
ITERATIONS = 60


def fit_wide(
    sentences: Sequence[Sentence], labels: NDArray[np.int64], classes: int, weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """float32 [BUCKETS, classes] of the labelled sentences, with their marks and without.

    weights: float32 [classes], how much a sentence of each class counts.
    """
    told = np.flatnonzero(labels != UNLABELLED)
    chosen = [sentences[int(i)] for i in told]
    bare = [replace(sentence, words=tuple(unmarked(sentence.words))) for sentence in chosen]
    rows = _rows([*chosen, *bare])
    right = np.tile(labels[told], 2)
    counted = weights[right] * (LOOSE / 2)

    def cost(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        table = flat.reshape(BUCKETS, classes)
        scores = rows @ table
        scores -= scores.max(1, keepdims=True)
        grown = np.exp(scores)
        total = grown.sum(1, keepdims=True)
        at = np.arange(len(right))
        surprise = np.log(total[:, 0]) - scores[at, right]
        slope = grown / total
        slope[at, right] -= 1
        gradient = rows.T @ (slope * counted[:, None]) + table
        return float(counted @ surprise + (flat @ flat) / 2), np.asarray(gradient).ravel()

    start = np.zeros(BUCKETS * classes)
    solved = minimize(cost, start, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
    return solved.x.reshape(BUCKETS, classes).astype(np.float32)


def _rows(sentences: Sequence[Sentence]) -> csr_matrix:
    """[n, BUCKETS]: 1 over the root of how many there are, for each bucket that is there."""
    found = [row[row != NONE] for row in (buckets(sentence.words) for sentence in sentences)]
    values = np.concatenate([np.full(len(row), len(row) ** -0.5) for row in found])
    starts = np.cumsum([0, *(len(row) for row in found)])
    return csr_matrix((values, np.concatenate(found), starts), shape=(len(sentences), BUCKETS))
