"""From a transducer's encodings to words: greedy, or modified beam search.

Graves, Sequence transduction with recurrent neural networks (2012); at most one token a frame, as icefall
trains and sherpa-onnx decodes.  In the modified beam search (Kang et al., Fast and parallel decoding for
transducer, ICASSP 2023) every sequence takes one step a frame, a token or the blank, and sequences that have
become the same are added up; the best is that with the highest mean log-probability of a token.

Times.  A token belongs to the frame in which it was chosen: a word begins with the frame of its first token
and ends with that of its last.  Transducers choose late rather than early.

Confidence.  The geometric mean of the posteriors of a word's tokens where they were chosen; not calibrated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from nodes.runtime.messages import Word

BLANK, NOTHING = 0, -1  # before the first token there is a blank, and before that nothing
UNKNOWN = "<unk>"  # says nothing, and like a blank changes no context
WORD_BEGINS = "\u2581"


class Chosen(NamedTuple):
    """A token, the frame in which it was chosen, and the logarithm of its posterior there."""

    token: int
    t_start_ns: int
    t_end_ns: int
    log_prob: float


class Transducer(Protocol):
    """What the search needs of a model: see ``zipformer.Zipformer``."""

    tokens: list[str]
    context: int

    def predict(self, contexts: np.ndarray) -> np.ndarray: ...

    def join(self, encodings: np.ndarray, predictions: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True)
class _Path:
    chosen: tuple[Chosen, ...]
    log_prob: float
    count: int  # of tokens, with the blanks that the context begins with

    @property
    def score(self) -> float:
        return self.log_prob / self.count


class Search:
    """A ``Decoder`` of ``engines.speech.decode``, fed with encodings in place of log-probabilities.

    beam: sequences kept; 1 is greedy.
    """

    def __init__(self, model: Transducer, beam: int) -> None:
        self._model, self._beam = model, beam
        self._silent = {BLANK, *(n for n, token in enumerate(model.tokens) if token == UNKNOWN)}
        self.reset()

    def reset(self) -> None:
        """Before the next segment: nothing said so far, and no context."""
        self._paths = [_Path((), 0.0, self._model.context)]
        self._predicted: dict[tuple[int, ...], np.ndarray] = {}

    def push(
        self, log_probs: np.ndarray, times_ns: Sequence[int], heard_by: str, temperature: float = 1.0
    ) -> list[Word]:
        """log_probs: here encodings, float32 [T, D]."""
        del heard_by, temperature  # only sound is heard, and nothing is known of its calibration
        for encoding, start, end in zip(log_probs, times_ns[:-1], times_ns[1:], strict=True):
            contexts = [self._context(path) for path in self._paths]
            self._predict(contexts)
            scores = self._model.join(
                np.repeat(encoding[None], len(contexts), axis=0),
                np.stack([self._predicted[c] for c in contexts]),
            )
            self._paths = (
                [self._extended(self._paths[0], int(scores[0].argmax()), scores[0], start, end)]
                if self._beam == 1
                else self._best(scores, start, end)
            )
        return self.finish()

    def finish(self) -> list[Word]:
        best = max(self._paths, key=lambda path: path.score)
        return words_of(best.chosen, self._model.tokens)

    def _best(self, scores: np.ndarray, start: int, end: int) -> list[_Path]:
        """The likeliest steps out of every path with every token, the same sequences added up."""
        totals = scores.astype(np.float64) + [[path.log_prob] for path in self._paths]
        kept = np.argsort(-totals, axis=None, kind="stable")[: self._beam]
        merged: dict[tuple[int, ...], _Path] = {}
        for index in kept:
            which, token = divmod(int(index), scores.shape[1])
            path = self._extended(self._paths[which], token, scores[which], start, end)
            key = tuple(step.token for step in path.chosen)
            if key in merged:
                total = float(np.logaddexp(merged[key].log_prob, path.log_prob))
                path = _Path(merged[key].chosen, total, path.count)
            merged[key] = path
        return list(merged.values())

    def _extended(self, path: _Path, token: int, scores: np.ndarray, start: int, end: int) -> _Path:
        log_prob = float(scores[token])
        if token in self._silent:
            return _Path(path.chosen, path.log_prob + log_prob, path.count)
        chosen = Chosen(token, start, end, log_prob)
        return _Path((*path.chosen, chosen), path.log_prob + log_prob, path.count + 1)

    def _context(self, path: _Path) -> tuple[int, ...]:
        size = self._model.context
        return (*(NOTHING,) * (size - 1), BLANK, *(step.token for step in path.chosen[-size:]))[-size:]

    def _predict(self, contexts: list[tuple[int, ...]]) -> None:
        """Fills in the predictions that are missing, and lets go of those that are not needed now."""
        known = self._predicted
        missing = [context for context in dict.fromkeys(contexts) if context not in known]
        if missing:
            fresh = self._model.predict(np.array(missing, np.int64))
            known = {**known, **dict(zip(missing, fresh, strict=True))}
        self._predicted = {context: known[context] for context in contexts}


def words_of(chosen: Sequence[Chosen], tokens: list[str]) -> list[Word]:
    """Words out of pieces of words; ``<sos/eos>`` and the like are none."""
    pieces: list[list[Chosen]] = []
    for step in chosen:
        text = tokens[step.token]
        if text.startswith("<") and text.endswith(">"):
            continue
        if text.startswith(WORD_BEGINS) or not pieces:
            pieces.append([])
        pieces[-1].append(step)
    return [word for group in pieces if (word := _word(group, tokens)) is not None]


def _word(group: list[Chosen], tokens: list[str]) -> Word | None:
    text = "".join(tokens[step.token] for step in group).replace(WORD_BEGINS, "")
    if not text:
        return None
    mean = sum(step.log_prob for step in group) / len(group)
    return Word(
        text=text.lower(),
        t_start_ns=group[0].t_start_ns,
        t_end_ns=group[-1].t_end_ns,
        confidence=round(float(np.exp(mean)), 4),
        heard_by="a",
    )
