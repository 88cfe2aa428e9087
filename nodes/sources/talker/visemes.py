"""How the mouth moves with words: phones, their lip targets, and the blending of neighbours.

Lip shapes follow the viseme classes of the field (bilabial, labiodental, rounded, ...); neighbouring targets
blend by dominance functions: Cohen and Massaro, "Modeling coarticulation in synthetic visual speech", 1993.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Word = tuple[str, float, float]

# Columns of a mouth track.
OPEN, WIDE, ROUND, PRESS, TUCK, TEETH, TONGUE, JAW = range(8)

# ARPAbet, British for GRID's letters: "zed", "ar" without its r.
_LEXICON = {
    "bin": "B IH N", "lay": "L EY", "place": "P L EY S", "set": "S EH T",
    "blue": "B L UW", "green": "G R IY N", "red": "R EH D", "white": "W AY T",
    "at": "AE T", "by": "B AY", "in": "IH N", "with": "W IH TH",
    "a": "EY", "b": "B IY", "c": "S IY", "d": "D IY", "e": "IY", "f": "EH F", "g": "JH IY", "h": "EY CH",
    "i": "AY", "j": "JH EY", "k": "K EY", "l": "EH L", "m": "EH M", "n": "EH N", "o": "OW", "p": "P IY",
    "q": "K Y UW", "r": "AA R", "s": "EH S", "t": "T IY", "u": "Y UW", "v": "V IY", "x": "EH K S",
    "y": "W AY", "z": "Z EH D",
    "zero": "Z IY R OW", "one": "W AH N", "two": "T UW", "three": "TH R IY", "four": "F AO R",
    "five": "F AY V", "six": "S IH K S", "seven": "S EH V AH N", "eight": "EY T", "nine": "N AY N",
    "again": "AH G EH N", "now": "N AW", "please": "P L IY Z", "soon": "S UW N",
}  # fmt: skip

# A diphthong is two vowels, one after the other.
_DIPHTHONGS = {"EY": "EH IH", "AY": "AA IH", "OW": "AO UW", "AW": "AA UW"}

#          open  wide  round press tuck teeth tongue jaw   dominance
_TARGETS = {
    "AA": (0.85, 0.10, 0.00, 0.0, 0.0, 0.35, 0.10, 0.90, 1.0),
    "AE": (0.70, 0.45, 0.00, 0.0, 0.0, 0.55, 0.15, 0.75, 1.0),
    "AH": (0.50, 0.10, 0.00, 0.0, 0.0, 0.40, 0.20, 0.50, 0.8),
    "AO": (0.60, 0.00, 0.65, 0.0, 0.0, 0.10, 0.05, 0.65, 1.1),
    "EH": (0.52, 0.40, 0.00, 0.0, 0.0, 0.60, 0.25, 0.50, 1.0),
    "IH": (0.34, 0.50, 0.00, 0.0, 0.0, 0.70, 0.30, 0.28, 0.9),
    "IY": (0.26, 0.80, 0.00, 0.0, 0.0, 0.80, 0.30, 0.18, 1.1),
    "UW": (0.22, 0.00, 1.00, 0.0, 0.0, 0.00, 0.05, 0.22, 1.3),
    "Y": (0.22, 0.55, 0.10, 0.0, 0.0, 0.60, 0.40, 0.16, 0.6),
    "W": (0.12, 0.00, 1.00, 0.0, 0.0, 0.00, 0.00, 0.18, 1.4),
    "R": (0.24, 0.05, 0.50, 0.0, 0.0, 0.25, 0.30, 0.22, 0.8),
    "L": (0.38, 0.30, 0.00, 0.0, 0.0, 0.55, 0.95, 0.36, 0.9),
    "B": (0.00, 0.10, 0.05, 0.8, 0.0, 0.00, 0.00, 0.06, 4.0),
    "P": (0.00, 0.10, 0.05, 0.9, 0.0, 0.00, 0.00, 0.06, 4.0),
    "M": (0.00, 0.10, 0.05, 0.8, 0.0, 0.00, 0.00, 0.06, 4.0),
    "F": (0.22, 0.25, 0.00, 0.0, 1.0, 0.90, 0.00, 0.08, 3.0),
    "V": (0.22, 0.20, 0.00, 0.0, 0.9, 0.90, 0.00, 0.10, 3.0),
    "TH": (0.28, 0.25, 0.00, 0.0, 0.0, 0.70, 1.00, 0.22, 1.4),
    "S": (0.16, 0.55, 0.00, 0.0, 0.0, 1.00, 0.00, 0.04, 1.5),
    "Z": (0.18, 0.50, 0.00, 0.0, 0.0, 1.00, 0.00, 0.05, 1.5),
    "CH": (0.24, 0.00, 0.60, 0.0, 0.0, 0.95, 0.00, 0.08, 1.5),
    "JH": (0.24, 0.00, 0.55, 0.0, 0.0, 0.95, 0.00, 0.10, 1.5),
    "T": (0.22, 0.35, 0.00, 0.0, 0.0, 0.80, 0.60, 0.14, 0.8),
    "D": (0.24, 0.30, 0.00, 0.0, 0.0, 0.75, 0.65, 0.18, 0.8),
    "N": (0.26, 0.30, 0.00, 0.0, 0.0, 0.60, 0.75, 0.22, 0.7),
    "K": (0.32, 0.25, 0.00, 0.0, 0.0, 0.50, 0.05, 0.30, 0.5),
    "G": (0.32, 0.25, 0.00, 0.0, 0.0, 0.50, 0.05, 0.30, 0.5),
    "sil": (0.00, 0.15, 0.00, 0.0, 0.0, 0.00, 0.00, 0.00, 1.2),
}  # fmt: skip

_VOWELS = {"AA", "AE", "AH", "AO", "EH", "IH", "IY", "UW"}
_ANTICIPATION = 0.03  # s: lips are in place a little before the sound that they make
_REACH = 0.055  # s: how far a phone's dominance spreads beyond it


def phones(word: str) -> list[str]:
    """The lip targets of a vocabulary word, diphthongs taken apart. Raises KeyError for another word."""
    spoken: list[str] = []
    for phone in _LEXICON[word].split():
        spoken += _DIPHTHONGS.get(phone, phone).split()
    return spoken


def timed_phones(words: Sequence[Word]) -> list[Word]:
    """(phone, start, end) of every word's phones; a vowel lasts twice as long as a consonant."""
    timed = []
    for text, start, end in words:
        sounds = phones(text)
        lengths = np.array([2.0 if sound in _VOWELS else 1.0 for sound in sounds])
        edges = start + (end - start) * np.concatenate([[0], np.cumsum(lengths)]) / lengths.sum()
        timed += [(sound, float(edges[i]), float(edges[i + 1])) for i, sound in enumerate(sounds)]
    return timed


def mouth_track(
    words: Sequence[Word], times: NDArray[np.float64], effort: float = 1.0
) -> NDArray[np.float64]:
    """The mouth at each of `times` (seconds): (len(times), 8), columns OPEN to JAW, each 0 to about 1."""
    speech = timed_phones(words)
    pauses, previous = [], float(times[0]) - 1.0
    for _, start, end in [*speech, ("sil", float(times[-1]) + 1.0, 0.0)]:
        if start - previous > 0.12:
            pauses.append(("sil", previous + 0.05, start - 0.05))
        previous = end
    segments = speech + pauses
    targets = np.array([_TARGETS[phone][:8] for phone, _, _ in segments])
    strength = np.array([_TARGETS[phone][8] for phone, _, _ in segments])
    starts, ends = np.array([(start, end) for _, start, end in segments]).T - _ANTICIPATION
    outside = np.maximum(np.maximum(starts - times[:, None], times[:, None] - ends), 0)  # (times, segments)
    inside = np.clip(np.minimum(times[:, None] - starts, ends - times[:, None]) / (ends - starts), 0, 0.5)
    dominance = strength * np.exp(-outside / _REACH * 1.6) * (0.35 + 1.3 * inside)
    track = dominance @ targets / dominance.sum(axis=1, keepdims=True)
    track[:, (OPEN, JAW)] *= effort
    return np.asarray(track)
