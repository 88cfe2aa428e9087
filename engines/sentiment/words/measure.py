"""What the words expert gets right on sentences it never saw: as written, without marks, and misheard."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engines.engine import Arrays
from engines.sentiment.emotions import softmax
from engines.sentiment.measures import unweighted_average_recall, weighted_f1
from engines.sentiment.words.batches import Degrade
from engines.sentiment.words.corpora import Sentence, unmarked
from engines.sentiment.words.reader import Reader

MISHEARD = 1 / 3


@dataclass(frozen=True)
class Figures:
    """sst: accuracy on SST, good or bad.  sentiment, emotion: weighted F1 on MELD; uar: of its emotions.

    accuracy, confidence: of MELD's emotions.
    """

    sst: float
    sentiment: float
    emotion: float
    uar: float
    accuracy: float
    confidence: float

    def row(self) -> str:
        return (
            f"{self.sst:.1%} | {self.sentiment:.3f} | {self.emotion:.3f} | {self.uar:.1%} | "
            f"{self.accuracy:.1%} | {self.confidence:.2f}"
        )


def read(reader: Reader, sentences: Sequence[Sentence]) -> Arrays:
    """The expert's outputs for all sentences, stacked [n, ...]."""
    rows = [reader.read(sentence.words, sentence.before) for sentence in sentences]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def conditions(sentences: Sequence[Sentence]) -> dict[str, list[Sentence]]:
    """As written; as a recogniser writes them; and that with a third of the words wrong."""
    bare = [replace(s, words=tuple(unmarked(s.words)), before=tuple(unmarked(s.before))) for s in sentences]
    degrade = Degrade(sentences, seed=7)
    return {
        "as written": list(sentences),
        "without marks": bare,
        "a third of the words wrong": [degrade.wrong(s, MISHEARD) for s in bare],
    }


def figures(reader: Reader, graded: Sequence[Sentence], felt: Sequence[Sentence]) -> Figures:
    """graded: SST's binary sentences, felt: MELD's."""
    valence = read(reader, graded)["affect"][:, 0]
    answers = read(reader, felt)
    emotions = np.array([s.emotion for s in felt])
    sentiments = np.array([s.sentiment for s in felt])
    believed = softmax(answers["logits"], reader.temperature)
    found: NDArray[np.int64] = believed.argmax(-1)
    return Figures(
        float(np.mean((valence > 0) == np.array([s.grade > 2 for s in graded]))),
        weighted_f1(sentiments, answers["sentiment"].argmax(-1)),
        weighted_f1(emotions, found),
        unweighted_average_recall(emotions, found),
        float((found == emotions).mean()),
        float(believed.max(-1).mean()),
    )
