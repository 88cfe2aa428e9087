"""How far the words expert is to be believed: set by sentences it did not learn from, some words wrong."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

from engines.sentiment.measures import calibration_error
from engines.sentiment.words.batches import Degrade, batch
from engines.sentiment.words.corpora import Sentence
from engines.sentiment.words.model import WordsExpert
from engines.sentiment.words.subwords import SubWords

ROUNDS = 6  # how often each sentence is misheard anew


@torch.no_grad()
def calibrate(network: WordsExpert, subwords: SubWords, kept: Sequence[Sentence]) -> tuple[float, float]:
    """Sets temperature and caution by ``kept``, misheard and unmarked at random.

    Returns the calibration error of ``kept`` as written, before and after.
    """
    degrade = Degrade(kept, seed=6)
    rows = batch([degrade(sentence) for _ in range(ROUNDS) for sentence in kept], subwords)
    both, doubts, _ = network.believe(rows.words, rows.before, rows.grams)
    found = fitted(both["logits"].numpy(), doubts.numpy(), rows.labels["logits"].numpy())
    written = batch(kept, subwords)
    right = written.labels["logits"].numpy()

    def error() -> float:
        logits = network(written.words, written.before, written.grams)["logits"].numpy()
        return calibration_error(logits, right, float(network.temperature))

    before = error()
    network.temperature.fill_(float(np.exp(found[0])))
    network.caution.copy_(torch.from_numpy(found[1:]))
    return before, error()


def fitted(
    logits: NDArray[np.float32], doubts: NDArray[np.float32], right: NDArray[np.int64]
) -> NDArray[np.float64]:
    """[3]: the logarithm of the temperature, and how much each of ``doubts`` [n, 2] adds to it.

    Those that make the ``right`` classes likeliest, as ``measures.fitted_temperature``.
    """
    told = np.column_stack([np.ones(len(doubts)), doubts])
    at = np.arange(len(right))

    def surprise(weights: NDArray[np.float64]) -> float:
        scaled = logits / np.exp(told @ weights)[:, None]
        scaled -= scaled.max(1, keepdims=True)
        return float((np.log(np.exp(scaled).sum(1)) - scaled[at, right]).mean())

    return np.asarray(minimize(surprise, np.zeros(told.shape[1])).x)
