"""Stretches of letters and pairs of words as numbers: what a recogniser got half right still tells something.

Every word, every three to five letters of it and every pair of neighbours is hashed into one of BUCKETS
(hashing trick, Weinberger et al. 2009; letters as in fastText, Bojanowski et al. 2017).
"""

import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

BUCKETS = 1 << 16
NONE, ALWAYS = 0, 1  # padding, and what every sentence has
MOST = 512  # buckets of a sentence that are looked at, so that a step has a fixed shape
_LETTERS = (3, 4, 5)


def buckets(words: Sequence[str]) -> NDArray[np.int64]:
    """int64 [MOST] of ``words_of`` a text: each bucket once, in order, padded behind."""
    found = {2 + zlib.crc32(gram.encode()) % (BUCKETS - 2) for gram in _grams(words)}
    row = np.full(MOST, NONE, np.int64)
    chosen = [ALWAYS, *sorted(found)[: MOST - 1]]
    row[: len(chosen)] = chosen
    return row


def _grams(words: Sequence[str]) -> Iterator[str]:
    for word in words:
        bounded = f"<{word}>"
        yield bounded
        for length in _LETTERS:
            for start in range(len(bounded) - length + 1):
                yield bounded[start : start + length]
    for first, second in pairwise(words):
        yield f"{first} {second}"
