"""Frame-wise CTC probabilities to words, as they arrive.

``Greedy`` takes the best token of each frame (Graves et al. 2006).  ``Beam`` is prefix beam search
(Graves 2012; Hannun et al. 2014), which adds up all alignments of a word sequence, and may be held to a
grammar.  A decoder hears one segment of speech: its state grows with the words of the segment, which the
caller bounds, and with nothing else.

Times.  The network sees no future and was taught by frame labels, so a word's frames come a little late: on
GRID 120 ms after the word's start and 60 ms after its end (``START_LATE``, ``END_LATE``, in frames).  Set
back by that, and not before the end of the word before, nine words in ten start within 50 ms of the label
and end within 50 (40 validation clips; ``benchmarks.words`` prints it).

Confidence.  The highest posterior of the word in its spike, after division of the log-probabilities by
the ``temperature`` in the model's metadata (Guo et al. 2017); 1 without one, as in the weights that ship,
whose confidence is therefore as the network was trained, not calibrated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, log1p
from typing import NamedTuple, Protocol

import numpy as np

from engines.speech.grammar import Grammar, State
from nodes.runtime.messages import Word

BLANK = 0
START_LATE, END_LATE = 3.0, 1.5
# The best sequence's words that ended so long ago are not questioned any more, so what was read stays.
SETTLED_NS = 2_000_000_000
# Tokens tried for each prefix and frame, and the log-probability below which none is.
CANDIDATES = 8
UNLIKELY = -12.0


class Spike(NamedTuple):
    """Where one token was emitted: from the start of its first frame to the end of its last.

    frame_ns: length of a frame.  peak: its best posterior.
    """

    token: int
    t_start_ns: int
    t_end_ns: int
    frame_ns: int
    peak: float
    heard_by: str


class Frame(NamedTuple):
    t_start_ns: int
    t_end_ns: int
    heard_by: str
    log_probs: np.ndarray  # [V]
    posterior: np.ndarray  # [V], tempered

    def spike(self, token: int) -> Spike:
        length = self.t_end_ns - self.t_start_ns
        return Spike(
            token, self.t_start_ns, self.t_end_ns, length, float(self.posterior[token]), self.heard_by
        )


class Decoder(Protocol):
    """``push`` returns the words so far, ``finish`` those of the segment; ``reset`` before the next one.

    log_probs: float32 [T, V], natural logarithms.  times_ns: T + 1 frame boundaries.
    heard_by: "a", "v" or "av", the evidence they were computed from.  temperature: of the model that did.
    """

    def push(
        self, log_probs: np.ndarray, times_ns: Sequence[int], heard_by: str, temperature: float = 1.0
    ) -> list[Word]: ...

    def finish(self) -> list[Word]: ...

    def reset(self) -> None: ...


def make_decoder(tokens: Sequence[str], *, beam: int = 8, grammar: Grammar | None = None) -> Decoder:
    """Greedy where ``beam`` is 1 and there is no grammar to obey."""
    return Greedy(tokens) if beam == 1 and grammar is None else Beam(tokens, beam, grammar)


class Greedy:
    """Best token of each frame, repetitions merged, blanks removed."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = tokens
        self.reset()

    def reset(self) -> None:
        self._spikes: list[Spike] = []
        self._last = BLANK

    def push(
        self, log_probs: np.ndarray, times_ns: Sequence[int], heard_by: str, temperature: float = 1.0
    ) -> list[Word]:
        for frame in _frames(log_probs, times_ns, heard_by, temperature):
            token = int(frame.log_probs.argmax())
            if token != BLANK and token == self._last:
                self._spikes[-1] = _longer(self._spikes[-1], frame)
            elif token != BLANK:
                self._spikes.append(frame.spike(token))
            self._last = token
        return self.finish()

    def finish(self) -> list[Word]:
        return _words(self._spikes, self._tokens)


@dataclass
class _Prefix:
    """One word sequence: log-probability of all its alignments that end in blank, and in its last token.

    spikes: when the words were, by the alignment that is the most probable so far.
    """

    state: State
    blank: float = -inf
    token: float = -inf
    spikes: tuple[Spike, ...] = ()
    best: float = -inf

    def offer(self, score: float, spikes: tuple[Spike, ...]) -> None:
        if score > self.best:
            self.best, self.spikes = score, spikes

    @property
    def total(self) -> float:
        return _add(self.blank, self.token)


class Beam:
    """The ``beam`` most probable word sequences after every frame; with a grammar only those that it allows.

    Words of the best one that ended 2 s ago are settled: sequences without them are given up.

    ``finish`` prefers the best sequence that is a whole sentence of the grammar to a better one that is not.
    """

    def __init__(self, tokens: Sequence[str], beam: int = 8, grammar: Grammar | None = None) -> None:
        self._tokens, self._beam, self._grammar = tokens, beam, grammar
        self.reset()

    def reset(self) -> None:
        state = self._grammar.start if self._grammar else frozenset()
        self._prefixes: dict[tuple[int, ...], _Prefix] = {(): _Prefix(state, 0.0)}

    def push(
        self, log_probs: np.ndarray, times_ns: Sequence[int], heard_by: str, temperature: float = 1.0
    ) -> list[Word]:
        for frame in _frames(log_probs, times_ns, heard_by, temperature):
            self._advance(frame)
        return _words(next(iter(self._prefixes.values())).spikes, self._tokens)

    def finish(self) -> list[Word]:
        best = next(iter(self._prefixes.values()))
        if self._grammar is not None:
            whole = (p for p in self._prefixes.values() if self._grammar.accepts(p.state))
            best = next(whole, best)
        return _words(best.spikes, self._tokens)

    def _advance(self, frame: Frame) -> None:
        scores = frame.log_probs.tolist()
        likely = sorted((t for t in range(1, len(scores)) if scores[t] > UNLIKELY), key=lambda t: -scores[t])
        new: dict[tuple[int, ...], _Prefix] = {}
        for tokens, old in self._prefixes.items():
            same = new.setdefault(tokens, _Prefix(old.state))
            score = old.total + scores[BLANK]
            same.blank = _add(same.blank, score)
            same.offer(score, old.spikes)
            if tokens:
                score = old.token + scores[tokens[-1]]
                same.token = _add(same.token, score)
                same.offer(score, (*old.spikes[:-1], _longer(old.spikes[-1], frame)))
            for token, state in self._next(old, likely):
                before = old.blank if tokens and token == tokens[-1] else old.total
                if before == -inf:  # the same word again takes a blank between
                    continue
                score = before + scores[token]
                longer = new.setdefault((*tokens, token), _Prefix(state))
                longer.token = _add(longer.token, score)
                longer.offer(score, (*old.spikes, frame.spike(token)))
        kept = sorted(new.items(), key=lambda item: -item[1].total)[: self._beam]
        tokens, best = kept[0]
        settled = tokens[: sum(spike.t_end_ns < frame.t_end_ns - SETTLED_NS for spike in best.spikes)]
        self._prefixes = {t: prefix for t, prefix in kept if t[: len(settled)] == settled}

    def _next(self, prefix: _Prefix, likely: list[int]) -> list[tuple[int, State]]:
        if self._grammar is None:
            return [(token, prefix.state) for token in likely[:CANDIDATES]]
        steps = ((token, self._grammar.step(prefix.state, self._tokens[token])) for token in likely)
        return [(token, state) for token, state in steps if state][:CANDIDATES]


def _frames(log_probs: np.ndarray, times_ns: Sequence[int], heard_by: str, temperature: float) -> list[Frame]:
    if len(times_ns) != len(log_probs) + 1:
        raise ValueError(f"{len(log_probs)} frames have {len(log_probs) + 1} boundaries, got {len(times_ns)}")
    tempered = log_probs.astype(np.float64) / temperature
    posterior = np.exp(tempered - tempered.max(axis=1, keepdims=True))
    posterior /= posterior.sum(axis=1, keepdims=True)
    return [
        Frame(times_ns[i], times_ns[i + 1], heard_by, log_probs[i], posterior[i])
        for i in range(len(log_probs))
    ]


def _longer(spike: Spike, frame: Frame) -> Spike:
    here = frame.spike(spike.token)
    best = here if here.peak > spike.peak else spike
    return spike._replace(t_end_ns=frame.t_end_ns, peak=best.peak, heard_by=best.heard_by)


def _words(spikes: Sequence[Spike], tokens: Sequence[str]) -> list[Word]:
    words: list[Word] = []
    for spike in spikes:
        start = spike.t_start_ns - round(START_LATE * spike.frame_ns)
        words.append(
            Word(
                text=tokens[spike.token],
                t_start_ns=max(start, words[-1].t_end_ns) if words else start,
                t_end_ns=spike.t_end_ns - round(END_LATE * spike.frame_ns),
                confidence=round(spike.peak, 4),
                heard_by=spike.heard_by,
            )
        )
    return words


def _add(a: float, b: float) -> float:
    """log(exp(a) + exp(b))."""
    if a < b:
        a, b = b, a
    return a if b == -inf else a + log1p(exp(b - a))
