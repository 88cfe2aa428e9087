"""The words expert at work: words in, what they mean out."""

import json
from collections.abc import Sequence
from pathlib import Path

from engines.engine import Arrays, ModelError
from engines.sentiment.words.grams import MOST, buckets
from engines.sentiment.words.subwords import LENGTH, SubWords
from engines.stream import Stream

INPUTS = {"words": (1, LENGTH), "before": (1, LENGTH), "grams": (1, MOST)}


class Reader:
    """temperature: what ``logits`` are to be divided by.

    Raises ModelError where ``path`` is missing or not the words expert.
    """

    def __init__(self, path: Path) -> None:
        self._engine = Stream(path, INPUTS, indices=set(INPUTS))
        self._engine.give({"logits": (1, 7), "sentiment": (1, 3), "affect": (1, 2), "embedding": (1, 64)})
        self._subwords = SubWords(_vocabulary(self._engine))
        self.temperature = self._engine.temperature

    def read(self, words: Sequence[str], before: Sequence[str]) -> Arrays:
        """The expert's outputs (``words.model``), batch 1; words, before: as ``words_of`` gives them."""
        return self._engine.run(
            {
                "words": self._subwords.encode(words)[None],
                "before": self._subwords.encode(before)[None],
                "grams": buckets(words)[None],
            }
        )


def _vocabulary(engine: Stream) -> list[str]:
    try:
        pieces = json.loads(engine.metadata.get("vocabulary", ""))
    except (ValueError, RecursionError):
        pieces = None
    if not isinstance(pieces, list) or len(pieces) < 2 or not all(isinstance(p, str) and p for p in pieces):
        raise ModelError(f"{engine.path}: its metadata has no vocabulary of sub-words; re-export it")
    return pieces
