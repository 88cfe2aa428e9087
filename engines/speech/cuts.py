"""How recordings are cut out of longer ones: close to the words, to one word, or by their level."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from engines.speech.dataset import Utterance
from engines.speech.features import SAMPLE_RATE

CLOSE = (0.05, -0.03)  # seconds left before the first word and after the last where a clip is cut close
BELOW = (6.0, 26.0)  # dB below its peak from which the ends of a word count as silence
HOP = SAMPLE_RATE // 100


def cut_to(utterance: Utterance, start: float, end: float) -> Utterance:
    """What is from start to end, in seconds."""
    words = tuple((w, max(t0 - start, 0.0), min(t1, end) - start) for w, t0, t1 in utterance.words)
    at = utterance.start
    return replace(
        utterance, start=at + int(start * SAMPLE_RATE), end=at + int(end * SAMPLE_RATE), words=words
    )


def cut_close(utterance: Utterance, rng: np.random.Generator) -> Utterance:
    """Its words and nearly nothing around them, or a little less: as recordings are that a program cut."""
    if not utterance.words:
        return utterance
    first, last = utterance.words[0][1], utterance.words[-1][2]
    before, after = rng.uniform(min(CLOSE), max(CLOSE), 2)
    return cut_to(utterance, max(0.0, first - before), min(utterance.seconds, last + after))


def cut_alone(utterance: Utterance, rng: np.random.Generator) -> Utterance:
    """One of its words and nearly nothing around it."""
    if len(utterance.words) < 2:
        return utterance
    word = utterance.words[int(rng.integers(len(utterance.words)))]
    before, after = rng.uniform(0, max(CLOSE), 2)
    alone = replace(utterance, words=(word,))
    return cut_to(alone, max(0.0, word[1] - before), min(utterance.seconds, word[2] + after))


def levels(sound: Tensor) -> NDArray[np.float32]:
    """Decibels of each 10 ms of ``sound`` (int16 [n]), float32 [n // HOP]."""
    frames = sound[: len(sound) // HOP * HOP].reshape(-1, HOP)
    # By pieces: as float, hours of sound are gigabytes.
    power = [piece.float().square().mean(1) for piece in frames.split(100_000)]
    return np.concatenate([(10 * (each + 1).log10()).cpu().numpy() for each in power])


def trim(utterance: Utterance, levels: NDArray[np.float32], rng: np.random.Generator) -> Utterance:
    """What is left by a program that cuts silence off by its level: the weak consonants at both ends, such as
    those of "six", are often lost with it.  levels: of the sound that the utterance is in."""
    if not utterance.words:
        return utterance
    below = rng.uniform(*BELOW)

    def loud(start: float, end: float) -> NDArray[np.float64]:
        """Seconds at which the frames of that stretch begin that are loud enough for it."""
        frames = np.arange(*(utterance.start + np.array([start, end]) * SAMPLE_RATE).astype(int) // HOP)
        level = levels[frames]
        return (frames[level >= level.max(initial=0.0) - below] * HOP - utterance.start) / SAMPLE_RATE

    (_, first, first_end), (_, last, last_end) = utterance.words[0], utterance.words[-1]
    starts, ends = loud(first, first_end), loud(last, last_end)
    if not len(starts) or not len(ends):
        return utterance
    end = min(ends[-1] + HOP / SAMPLE_RATE, utterance.seconds)
    return cut_to(utterance, max(0.0, float(starts[0])), float(end))
