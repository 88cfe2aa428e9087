"""What was heard, clip by clip, kept on disk so that a stopped evaluation goes on where it was."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engines.speech.score import (
    Calibration,
    WordErrorRate,
    calibration,
    excess_error_rate,
    right_words,
    word_error_rate,
)
from nodes.runtime.errors import UserError
from nodes.runtime.messages import Word

FILE = "clips.jsonl"
Cell = tuple[str, str]  # condition of the sound, what is seen


@dataclass(frozen=True)
class Row:
    """heard: for each cell the words, each as (text, confidence, heard_by)."""

    clip: str
    speaker: str
    words: tuple[str, ...]
    heard: dict[Cell, list[tuple[str, float, str]]]


class Results:
    """The rows of ``folder``/clips.jsonl; ``keep`` adds one.

    folder: where they are.  settings: what the rows depend on.  Raises UserError where the folder holds rows
    made with others, and where nothing can be written there.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        self._path = folder / FILE
        self.rows: dict[str, Row] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not self._path.exists():
                self._path.write_text(json.dumps(settings) + "\n")
                return
        except OSError as error:
            raise UserError(
                f"{folder}: cannot write there ({error.strerror}); name another with --out FOLDER"
            ) from error
        first, *lines = self._path.read_text().splitlines() or [""]
        if first != json.dumps(settings):
            raise UserError(
                f"{folder}: holds results of other weights or settings; delete it or name another (--out)"
            )
        for line in lines:
            try:
                row = _from_json(json.loads(line))
            except (ValueError, KeyError, TypeError):
                break  # cut off in the middle of a line: that clip is done again
            self.rows[row.clip] = row
        self._path.write_text("".join(f"{line}\n" for line in (first, *lines[: len(self.rows)])))

    def keep(self, row: Row) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(_to_json(row)) + "\n")
        self.rows[row.clip] = row


@dataclass(frozen=True)
class Score:
    """One cell over the clips that have it.  excess: above the sound alone, where that was measured."""

    sound: str
    seen: str
    rate: WordErrorRate
    excess: WordErrorRate | None
    calibration: Calibration | None


def score(rows: Iterable[Row], alone: str) -> list[Score]:
    """Every cell in the order it was measured; ``alone`` is what is seen where there is only sound."""
    rows = list(rows)
    cells = dict.fromkeys(cell for row in rows for cell in row.heard)
    return [_score(cell, [row for row in rows if cell in row.heard], alone) for cell in cells]


def _score(cell: Cell, rows: Sequence[Row], alone: str) -> Score:
    sound, seen = cell
    words, speakers = [row.words for row in rows], [row.speaker for row in rows]
    heard = [_texts(row, cell) for row in rows]
    excess = None
    if seen != alone and all((sound, alone) in row.heard for row in rows):
        without = [_texts(row, (sound, alone)) for row in rows]
        excess = excess_error_rate(words, heard, without, speakers)
    sure = [confidence for row in rows for _, confidence, _ in row.heard[cell]]
    right = [each for said, got in zip(words, heard, strict=True) for each in right_words(said, got)]
    return Score(sound, seen, word_error_rate(words, heard, speakers), excess, calibration(sure, right))


def calibration_by(rows: Iterable[Row]) -> dict[str, Calibration]:
    """Over all cells, of the words that were read from each evidence ("a", "v", "av")."""
    sure: dict[str, list[float]] = {}
    right: dict[str, list[bool]] = {}
    for row in rows:
        for cell, words in row.heard.items():
            for (_, confidence, by), correct in zip(
                words, right_words(row.words, _texts(row, cell)), strict=True
            ):
                sure.setdefault(by, []).append(confidence)
                right.setdefault(by, []).append(correct)
    found = {by: calibration(sure[by], right[by]) for by in sorted(sure)}
    return {by: each for by, each in found.items() if each is not None}


def summary(scores: Sequence[Score]) -> list[dict[str, Any]]:
    """The scores as JSON has them."""
    return [asdict(each) for each in scores]


def told(words: Sequence[Word]) -> list[tuple[str, float, str]]:
    return [(word.text, word.confidence, word.heard_by) for word in words]


def digest(settings: dict[str, Any]) -> str:
    """A name for the folder of what was measured with these settings and no others."""
    return hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:8]


def fingerprint(weights: Path) -> dict[str, str]:
    """The first digits of each model's SHA-256, by name."""
    return {
        path.stem: hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        for path in sorted(weights.glob("*.onnx"))
    }


def _texts(row: Row, cell: Cell) -> list[str]:
    return [text for text, _, _ in row.heard[cell]]


def _to_json(row: Row) -> dict[str, Any]:
    cells = [[sound, seen, words] for (sound, seen), words in row.heard.items()]
    return {"clip": row.clip, "speaker": row.speaker, "words": row.words, "heard": cells}


def _from_json(line: dict[str, Any]) -> Row:
    heard = {(sound, seen): [tuple(word) for word in words] for sound, seen, words in line["heard"]}
    return Row(line["clip"], line["speaker"], tuple(line["words"]), heard)  # type: ignore[arg-type]
