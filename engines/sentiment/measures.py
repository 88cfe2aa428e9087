"""How well emotions are recognised: the measures of the field, on plain arrays.

``right`` int64 [n] are the true classes, ``found`` int64 [n] those that were answered.
"""

import numpy as np
from numpy.typing import NDArray

from engines.sentiment.emotions import softmax
from engines.speech.score import calibration

Classes = NDArray[np.int64]
Floats = NDArray[np.float32]


def unweighted_average_recall(right: Classes, found: Classes) -> float:
    """Mean over the classes that occur of the share of each that was found (UAR)."""
    return float(np.mean([(found[right == k] == k).mean() for k in np.unique(right)]))


def weighted_f1(right: Classes, found: Classes) -> float:
    """Mean of each class's F1, weighed by how often the class occurs."""
    total = 0.0
    for k in np.unique(right):
        both = ((right == k) & (found == k)).sum()
        total += float(2 * both / ((right == k).sum() + (found == k).sum()) * (right == k).mean())
    return total


def two_class_accuracy(right: Floats, found: Floats, with_neutral: bool) -> float:
    """Acc2 of signed valence: negative against not negative ``with_neutral``, else negative against positive.

    right, found: float32 [n], below 0 negative.  Without neutral, items whose right value is 0 are left out
    (as on CMU-MOSI, Zadeh et al. 2018).
    """
    if with_neutral:
        return float(((right < 0) == (found < 0)).mean())
    clear = right != 0
    return float(((right[clear] > 0) == (found[clear] > 0)).mean())


def concordance(right: Floats, found: Floats) -> float:
    """Concordance correlation coefficient (CCC, Lin 1989); 0 where neither varies."""
    spread = right.var() + found.var() + (right.mean() - found.mean()) ** 2
    together = ((right - right.mean()) * (found - found.mean())).mean()
    return float(2 * together / spread) if spread else 0.0


def confusion(right: Classes, found: Classes, count: int) -> NDArray[np.int64]:
    """int64 [count, count]: how many of each right class (row) were found as each class (column)."""
    table = np.zeros((count, count), np.int64)
    np.add.at(table, (right, found), 1)
    return table


def calibration_error(logits: Floats, right: Classes, temperature: float = 1.0) -> float:
    """Expected calibration error, 0..1 (Guo et al. 2017), of ``logits`` [n, k] over ``temperature``."""
    believed = softmax(logits, temperature)
    found = calibration(believed.max(-1).tolist(), (believed.argmax(-1) == right).tolist())
    return found.error if found else 0.0


def fitted_temperature(logits: Floats, right: Classes) -> float:
    """What the logits [n, k] must be divided by for the right classes to be likeliest (Guo et al. 2017)."""
    from scipy.optimize import minimize_scalar

    def surprise(log_temperature: float) -> float:
        believed = softmax(logits, float(np.exp(log_temperature)))
        return float(-np.log(believed[np.arange(len(right)), right] + 1e-12).mean())

    return float(np.exp(minimize_scalar(surprise, bounds=(-2.0, 2.5), method="bounded").x))


def fitted_caution(logits: Floats, doubts: Floats, right: Classes) -> NDArray[np.float64]:
    """As ``fitted_temperature``, where there are ``doubts`` [n, d] of each answer.

    Returns [1 + d]: the logarithm of the temperature, and how much each doubt adds to it.
    """
    from scipy.optimize import minimize

    told = np.column_stack([np.ones(len(doubts)), doubts])
    at = np.arange(len(right))

    def surprise(weights: NDArray[np.float64]) -> float:
        scaled = logits / np.exp(told @ weights)[:, None]
        scaled -= scaled.max(1, keepdims=True)
        return float((np.log(np.exp(scaled).sum(1)) - scaled[at, right]).mean())

    return np.asarray(minimize(surprise, np.zeros(told.shape[1])).x)
