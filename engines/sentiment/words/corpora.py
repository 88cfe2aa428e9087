"""Sentences with labels: the Stanford Sentiment Treebank and MELD, each with what was said before it."""

import csv
import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engines.sentiment.words.subwords import MARKS, words_of
from nodes.runtime.errors import UserError

UNLABELLED = -1
GRADES = 5  # of SST: very negative, negative, neutral, positive, very positive
SENTIMENTS = ("negative", "neutral", "positive")
KEPT = 10
BEFORE = 2  # sentences of the same dialogue that go along
# MELD's words for our seven emotions (engines.sentiment.emotions).
MELD_EMOTIONS = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")


@dataclass(frozen=True)
class Sentence:
    """words, before: of this sentence and of the ones before it (``words_of``).

    grade: SST's 0 to 4; emotion: index into EMOTIONS; sentiment: index into SENTIMENTS; each UNLABELLED where
    the corpus does not say.  dialogue: which one of MELD's it is from.
    """

    words: tuple[str, ...]
    before: tuple[str, ...] = ()
    grade: int = UNLABELLED
    emotion: int = UNLABELLED
    sentiment: int = UNLABELLED
    dialogue: str = ""


def sst(data: Path, name: str) -> list[Sentence]:
    """``name`` as "fine.train", "fine.dev", "binary.dev"; binary grades are 0 and 4.

    Raises UserError where the file is missing or a line has no grade.
    """
    path = data / "sst" / f"stsa.{name}"
    highest = 1 if name.startswith("binary") else GRADES - 1
    found = []
    for number, line in enumerate(_lines(path), 1):
        grade, _, text = line.partition(" ")
        if not grade.isdecimal() or int(grade) > highest:
            raise UserError(f"{path}:{number}: begins with {grade[:20]!r}, not with a grade 0 to {highest}")
        found.append(Sentence(tuple(words_of(text)), grade=int(grade) * (GRADES - 1) // highest))
    return found


def meld(data: Path, name: str) -> list[Sentence]:
    """``name`` "train" or "dev", in the order they were said.  Raises UserError for a file that is not it."""
    path = data / "meld" / f"{name}_sent_emo.csv"
    found: list[Sentence] = []
    dialogue, said = "", list[tuple[str, ...]]()
    for number, row in enumerate(csv.DictReader(_lines(path)), 2):
        try:
            words = tuple(words_of(row["Utterance"]))
            emotion, sentiment = MELD_EMOTIONS.index(row["Emotion"]), SENTIMENTS.index(row["Sentiment"])
            began = row["Dialogue_ID"]
        except (KeyError, ValueError) as error:
            raise UserError(f"{path}: row {number} is none of MELD's ({error}); restore the file") from None
        if began != dialogue:
            dialogue, said = began, []
        before = tuple(word for sentence in said[-BEFORE:] for word in sentence)
        found.append(Sentence(words, before, emotion=emotion, sentiment=sentiment, dialogue=began))
        said.append(words)
    return found


def split(sentences: Sequence[Sentence]) -> tuple[list[Sentence], list[Sentence]]:
    """What is learnt from, and a tenth of the dialogues that is kept to set confidence by."""
    kept = [zlib.crc32(sentence.dialogue.encode()) % KEPT == 0 for sentence in sentences]
    pairs = list(zip(sentences, kept, strict=True))
    return [sentence for sentence, out in pairs if not out], [sentence for sentence, out in pairs if out]


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise UserError(f"{path}: no such file; docs/training.md says where the data is from")
    return path.read_text(encoding="utf-8", errors="replace").splitlines()


def misheard(words: Sequence[str], share: float, others: Sequence[str], rng: random.Random) -> list[str]:
    """``words`` as a poor recogniser gives them: each wrong with probability ``share``.

    A wrong word is another one (of ``others``) two times in three, else it is missing.
    """
    heard = []
    for word in words:
        if rng.random() >= share:
            heard.append(word)
        elif rng.random() < 2 / 3:
            heard.append(rng.choice(others))
    return heard


def unmarked(words: Sequence[str]) -> list[str]:
    """``words`` without marks, as a recogniser gives them."""
    return [word for word in words if word not in MARKS]
