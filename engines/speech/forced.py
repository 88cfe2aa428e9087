"""When were the words of a transcript said?  Forced alignment by the audio model that ships.

Training takes the time of every word; who labels clips of their own writes only the words.  The most probable
path through them (Viterbi, over the CTC states of Graves et al. 2006) says where each one is, and is set back
by as much as the network is late.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.speech.decode import BLANK, END_LATE, START_LATE
from engines.speech.features import BANDS, LogMel
from engines.speech.layouts import Times
from engines.speech.vocabulary import TOKENS
from engines.stream import Stream
from nodes.runtime.messages import CHUNK_FRAMES, CHUNK_SAMPLES

WEIGHTS = Path(__file__).parent / "weights"
FRAME_S = 0.04


def align(samples: NDArray[np.float32], words: tuple[str, ...]) -> Times:
    """(word, start, end) in seconds.  Raises ValueError for a word that the model does not know, or where
    there is not enough sound for all of them."""
    unknown = [word for word in words if word not in TOKENS[1:]]
    if unknown:
        raise ValueError(f"unknown word {unknown[0]!r}")
    spans = best_path(_log_probs(samples), [TOKENS.index(word) for word in words])
    times, before = [], 0.0
    for word, (first, last) in zip(words, spans, strict=True):
        start = max(before, (first - START_LATE) * FRAME_S)
        before = max(start + FRAME_S, (last + 1 - END_LATE) * FRAME_S)
        times.append((word, start, before))
    return tuple(times)


def best_path(log_probs: NDArray[np.float32], tokens: list[int]) -> list[tuple[int, int]]:
    """First and last frame of each token on the most probable path: log_probs [T, V], blanks between."""
    states = [BLANK]
    for token in tokens:
        states += [token, BLANK]
    # From the same state, the one before, or over a blank between two tokens that differ.
    skips = np.array([i > 1 and s != BLANK and s != states[i - 2] for i, s in enumerate(states)])
    score = np.full(len(states), -np.inf)
    score[:2] = log_probs[0, states[:2]]
    came = np.zeros((len(log_probs), len(states)), np.int64)
    for t in range(1, len(log_probs)):
        one = np.concatenate([[-np.inf], score[:-1]])
        two = np.where(skips, np.concatenate([[-np.inf, -np.inf], score[:-2]])[: len(states)], -np.inf)
        choices = np.stack([score, one, two])
        came[t] = choices.argmax(axis=0)
        score = choices.max(axis=0) + log_probs[t, states]
    at = len(states) - 1 if len(states) == 1 or score[-1] >= score[-2] else len(states) - 2
    if score[at] == -np.inf:
        raise ValueError(f"{len(log_probs)} frames are too few for {len(tokens)} words")
    path = [at]
    for t in range(len(log_probs) - 1, 0, -1):
        at -= int(came[t, at])
        path.append(at)
    frames = np.array(path[::-1])
    where = [np.flatnonzero(frames == 2 * i + 1) for i in range(len(tokens))]
    return [(int(each[0]), int(each[-1])) for each in where]


@lru_cache(maxsize=1)
def _model() -> Stream:
    return Stream(WEIGHTS / "audio.onnx", {"features": (1, 4 * CHUNK_FRAMES, BANDS)})


def _log_probs(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [T, V]; a second of silence after the sound lets the last word come out."""
    model, mel = _model(), LogMel()
    model.reset()
    chunks = -(-len(samples) // CHUNK_SAMPLES) + 6
    sound = np.pad(samples, (0, chunks * CHUNK_SAMPLES - len(samples)))
    steps = (
        model.run({"features": mel.push(piece)[None]})["log_probs"][0] for piece in np.split(sound, chunks)
    )
    return np.concatenate(list(steps))
