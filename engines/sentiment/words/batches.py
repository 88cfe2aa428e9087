"""What the words expert learns from: sentences of one corpus at a time, misheard and unmarked at random."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.sentiment.words.corpora import Sentence, misheard, unmarked
from engines.sentiment.words.grams import NONE, buckets
from engines.sentiment.words.subwords import PADDING, SubWords

MISHEARD = 0.35  # at most this share of a sentence's words is wrong
_UNMARKED = 0.5


@dataclass(frozen=True)
class Batch:
    """words, before: int64 [n, L], grams: int64 [n, G], no longer than needed.

    labels: int64 [n] by the name of the head that answers them.
    """

    words: Tensor
    before: Tensor
    grams: Tensor
    labels: dict[str, Tensor]


def batch(sentences: Sequence[Sentence], subwords: SubWords) -> Batch:
    """The sentences as they are."""
    return Batch(
        _rows([subwords.encode(s.words) for s in sentences], PADDING),
        _rows([subwords.encode(s.before) for s in sentences], PADDING),
        _rows([buckets(s.words) for s in sentences], NONE),
        {
            "logits": torch.tensor([s.emotion for s in sentences]),
            "sentiment": torch.tensor([s.sentiment for s in sentences]),
            "grades": torch.tensor([s.grade for s in sentences]),
        },
    )


def _rows(encoded: list[NDArray[np.int64]], padding: int) -> Tensor:
    rows = torch.from_numpy(np.stack(encoded))
    return rows[:, : int((rows != padding).sum(1).max().clamp(min=2))]


class Degrade:
    """Sentences as a recogniser gives them: some words wrong, half of the time no marks.

    others: where wrong words come from.  The same for the same seed.
    """

    def __init__(self, others: Sequence[Sentence], seed: int) -> None:
        self._rng = random.Random(seed)
        self._others = [word for sentence in others for word in unmarked(sentence.words)]

    def __call__(self, sentence: Sentence) -> Sentence:
        words, before = sentence.words, sentence.before
        if self._rng.random() < _UNMARKED:
            words, before = tuple(unmarked(words)), tuple(unmarked(before))
        return self.wrong(replace(sentence, words=words, before=before), self._rng.uniform(0, MISHEARD))

    def wrong(self, sentence: Sentence, share: float) -> Sentence:
        """With each word misheard with probability ``share``."""
        return replace(
            sentence,
            words=tuple(misheard(sentence.words, share, self._others, self._rng)),
            before=tuple(misheard(sentence.before, share, self._others, self._rng)),
        )


class Batches:
    """Endless batches of ``size``, each of one of the ``corpora``, chosen as often as they are large."""

    def __init__(
        self, corpora: Sequence[Sequence[Sentence]], subwords: SubWords, size: int, seed: int
    ) -> None:
        self._rng = random.Random(seed)
        self._weights = [len(corpus) for corpus in corpora]
        self._subwords, self._size = subwords, size
        self._degrade = Degrade([s for corpus in corpora for s in corpus], seed)
        self._orders = [self._order(corpus) for corpus in corpora]

    def next(self) -> Batch:
        order = self._rng.choices(self._orders, self._weights)[0]
        return batch([self._degrade(next(order)) for _ in range(self._size)], self._subwords)

    def _order(self, corpus: Sequence[Sentence]) -> Iterator[Sentence]:
        while True:
            yield from self._rng.sample(corpus, len(corpus))
