"""Letters and digits that people recorded for Debian packages: voice prompts of a telephone exchange, a clock
that speaks, and a game for children who learn to read.

Four voices, each word once: Allison Smith (asterisk-core-sounds-en, CC BY-SA 3.0), David C Dawson (saytime,
GPL-2), and the English and the British speaker of KLettres (klettres-data, GPL-2+).
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.speech.recordings import read_sound
from engines.speech.vocabulary import DIGITS, LETTERS
from engines.speech.voices import RATE, Speech
from nodes.runtime.errors import UserError

DEBIAN = "asterisk-core-sounds-en-g722 klettres-data saytime"
SHARE = Path("/usr/share")
_HOP = RATE // 100
_PAUSE = 0.25  # seconds; a word may have a shorter silence inside, before its last plosive

_ALLISON = "asterisk/sounds/en_US_f_Allison"
# Words outside the vocabulary that hold none of it, as "sixty" and "x-ray" do.
_OTHER_ALLISON = (
    *(f"digits/day-{day}" for day in range(7)),
    *(f"digits/mon-{month}" for month in range(12)),
    *(f"phonetic/{letter}_p" for letter in "abcdefghijklmnopqrstuvz"),
    *(f"digits/{name}" for name in ("11", "12", "h-1", "h-2", "h-3", "hundred", "thousand", "million")),
    *(f"digits/{name}" for name in ("billion", "dollars", "minus", "tomorrow", "yesterday")),
    *("hello-world", "goodbye", "sorry", "calling", "disabled", "minutes", "seconds", "location", "transfer"),
)  # fmt: skip
_OTHER_SAYTIME = ("11", "12", "hours", "minutes", "seconds", "exactly", "the_time_is")


def _recorded() -> dict[str, dict[str, str]]:
    """Voice -> word -> file below /usr/share."""
    letters = [letter for letter in LETTERS if letter != "z"]  # zed here, not zee
    digits = list(enumerate(DIGITS))
    allison = {letter: f"{_ALLISON}/letters/{letter}.g722" for letter in letters}
    allison |= {word: f"{_ALLISON}/digits/{digit}.g722" for digit, word in digits}
    allison |= {"z": f"{_ALLISON}/letters/zed.g722", "at": f"{_ALLISON}/letters/at.g722"}
    allison |= {"with": f"{_ALLISON}/with.g722"}
    return {
        "allison": allison,
        "dawson": {word: f"saytime/{digit}.au" for digit, word in digits},
        "klettres-en": {letter: f"klettres/en/alpha/{letter.upper()}.ogg" for letter in letters},
        "klettres-en_GB": {letter: f"klettres/en_GB/alpha/{letter}.ogg" for letter in letters},
    }


VOICES = tuple(_recorded())


def _spoken(samples: NDArray[np.float32]) -> tuple[float, float]:
    """Where its word is, in seconds: the most energetic stretch that is louder than the room."""
    frames = samples[: len(samples) // _HOP * _HOP].reshape(-1, _HOP)
    loudness = np.sqrt(np.mean(frames**2, axis=1))
    room = np.percentile(loudness, 10) if len(samples) > RATE else 0.0  # shorter ones are cut close
    loud = np.flatnonzero(loudness > max(0.03 * loudness.max(initial=1e-6), 2.5 * room))
    if not len(loud):
        return 0.0, 0.0
    cuts = np.flatnonzero(np.diff(loud) * _HOP > _PAUSE * RATE) + 1
    best = max(np.split(loud, cuts), key=lambda stretch: float(np.sum(loudness[stretch] ** 2)))
    return best[0] * _HOP / RATE, (best[-1] + 1) * _HOP / RATE


def _cut(path: Path, word: str) -> Speech:
    """A recording from 0.1 s before its word to 0.1 s after it; no words where ``word`` is empty."""
    samples = read_sound(path, mu_law=path.suffix == ".au")
    begin, end = _spoken(samples)
    first = max(0, round((begin - 0.1) * RATE))
    samples = samples[first : round((end + 0.1) * RATE)]
    words = ((word, begin - first / RATE, end - first / RATE),) if word else ()
    return Speech(samples, words)


def installed() -> list[str]:
    """The voices that are there."""
    return [
        voice for voice, files in _recorded().items() if all((SHARE / f).exists() for f in files.values())
    ]


def words_of(voice: str) -> list[tuple[str, Speech]]:
    """Every word of the vocabulary that ``voice`` recorded.  Raises UserError where it is not installed."""
    if voice not in installed():
        raise UserError(f"prompts of {voice} not found in {SHARE}; remedy: apt-get install {DEBIAN}")
    return [(word, _cut(SHARE / file, word)) for word, file in _recorded()[voice].items()]


def others_of(voice: str) -> Iterator[Speech]:
    """What ``voice`` recorded that holds no word of the vocabulary."""
    folder, names = {"allison": (_ALLISON, _OTHER_ALLISON), "dawson": ("saytime", _OTHER_SAYTIME)}.get(
        voice, ("", ())
    )
    for name in names:
        yield _cut(next((SHARE / folder).glob(f"{name}.*")), "")
