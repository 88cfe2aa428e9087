"""What synthetic voices share: an utterance with its words' times, and how letters are spelt for them.

The synthesisers (espeak.py, flite.py, festival.py, rhvoice.py) are Debian packages. Word times come from the
synthesiser's own timing, never from the sound.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from nodes.runtime.errors import UserError

RATE = 16_000
DEBIAN = "espeak-ng flite festival festvox-kallpc16k festvox-kdlpc16k festvox-us-slt-hts"
RHVOICE = "librhvoice5 rhvoice-english"  # in Debian's section non-free

# Respellings that every voice's phone output was checked with; all other words are spoken as written.
LETTER_NAMES = {"a": "ay", "z": "zed"}  # flite, festival, RHVoice: all use CMU's lexicon


class PronunciationError(ValueError):
    """The synthesiser did not speak one word for each word it was given."""


@dataclass(frozen=True)
class Speech:
    """One utterance. samples: float32 (n,) at 16 kHz, within ±1; words: (text, start, end) in seconds."""

    samples: NDArray[np.float32]
    words: tuple[tuple[str, float, float], ...]


def to_rate(samples: NDArray[np.generic], rate: int) -> NDArray[np.float32]:
    """Int16 or float samples (n,) at `rate` Hz, as float32 at 16 kHz."""
    floats = samples.astype(np.float32)
    if samples.dtype == np.int16:
        floats /= 32768
    if rate != RATE:
        divisor = gcd(RATE, rate)
        floats = resample_poly(floats, RATE // divisor, rate // divisor).astype(np.float32)
    return floats


def trim(speech: Speech, margin: float) -> Speech:
    """`speech` from `margin` seconds before its first word to as long after its last one."""
    start = max(round((speech.words[0][1] - margin) * RATE), 0)
    end = round((speech.words[-1][2] + margin) * RATE)
    words = tuple((text, begin - start / RATE, stop - start / RATE) for text, begin, stop in speech.words)
    return Speech(speech.samples[start:end], words)


def library(name: str, packages: str = DEBIAN) -> ctypes.CDLL:
    """A synthesiser's shared library, which `packages` hold. Raises UserError where it is not installed."""
    try:
        return ctypes.CDLL(name)
    except OSError:
        raise UserError(f"{name} not found; it makes training speech: apt-get install {packages}") from None


def respell(words: Sequence[str], commas: frozenset[int]) -> str:
    """The text that makes a CMU lexicon say `words`, with a comma after those numbered in `commas`."""
    spoken = (LETTER_NAMES.get(word, word) + ("," if i in commas else "") for i, word in enumerate(words))
    return " ".join(spoken)


def named(
    words: Sequence[str], times: Sequence[tuple[float, float]], synthesiser: str
) -> tuple[tuple[str, float, float], ...]:
    """Each word with its (start, end). Raises PronunciationError unless there is one time for each."""
    if len(times) != len(words):
        raise PronunciationError(f"{synthesiser} spoke {len(times)} of {len(words)} words: {' '.join(words)}")
    return tuple((word, start, end) for word, (start, end) in zip(words, times, strict=True))
