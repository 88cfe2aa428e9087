"""Text to sub-word indices, the same live and in training: plain Python, its vocabulary comes with the model.

A word is cut into the longest pieces of the vocabulary from left to right (longest match first, as in
WordPiece, Schuster and Nakajima 2012); a piece that begins a word carries ``START``.  Marks that say how
something is meant (?, !, ...) are words of their own.  A recogniser gives no marks; training leaves them out
half of the time.
"""

import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

START = "▁"
PADDING, UNKNOWN = 0, 1
SPECIAL = ("<pad>", "<unknown>")
LENGTH = 48  # sub-words of a sentence that are read, and of what was said before it: the last ones
MARKS = frozenset({"?", "!", ".", ",", "...", "?!"})

_APOSTROPHES = str.maketrans(dict.fromkeys("’‘`´\x92", "'"))
_SPLIT_CLITIC = re.compile(r"\s+(n't|'(?:s|re|ve|ll|d|m))\b")
_WORDS = re.compile(r"[a-z0-9]+(?:'[a-z0-9]+)*|'[a-z]+|[?!.,]+")


def words_of(text: str) -> list[str]:
    """Lower-case words and marks of ``text``; clitics that a treebank cut off ("do n't") are joined again."""
    plain = _SPLIT_CLITIC.sub(r"\1", text.translate(_APOSTROPHES).lower())
    return [_mark(word) if word[0] in "?!.," else word for word in _WORDS.findall(plain)]


def _mark(run: str) -> str:
    if "?" in run:
        return "?!" if "!" in run else "?"
    if "!" in run:
        return "!"
    return "..." if run.startswith("..") else run[0]


class SubWords:
    """vocabulary: the pieces, index 0 padding, 1 for a letter that no piece holds."""

    def __init__(self, vocabulary: Iterable[str]) -> None:
        self.vocabulary = list(vocabulary)
        self._index = {piece: i for i, piece in enumerate(self.vocabulary)}
        self._longest = max(map(len, self.vocabulary))

    def pieces(self, word: str) -> list[int]:
        """Indices of one word's pieces."""
        left, found = START + word, []
        while left:
            for length in range(min(self._longest, len(left)), 0, -1):
                if (index := self._index.get(left[:length])) is not None:
                    break
            else:
                index, length = UNKNOWN, 1
            found.append(index)
            left = left[length:]
        return found

    def encode(self, words: Iterable[str]) -> NDArray[np.int64]:
        """int64 [LENGTH] of ``words_of`` a text: the last pieces, padded behind."""
        row = np.full(LENGTH, PADDING, np.int64)
        indices = [index for word in words for index in self.pieces(word)][-LENGTH:]
        row[: len(indices)] = indices
        return row
