"""How far the words expert is to be believed: set by sentences it did not learn from, some words wrong."""

from collections.abc import Sequence

import numpy as np
import torch

from engines.sentiment.measures import calibration_error, fitted_caution
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
    found = fitted_caution(both["logits"].numpy(), doubts.numpy(), rows.labels["logits"].numpy())
    written = batch(kept, subwords)
    right = written.labels["logits"].numpy()

    def error() -> float:
        logits = network(written.words, written.before, written.grams)["logits"].numpy()
        return calibration_error(logits, right, float(network.temperature))

    before = error()
    network.temperature.fill_(float(np.exp(found[0])))
    network.caution.copy_(torch.from_numpy(found[1:]))
    return before, error()
