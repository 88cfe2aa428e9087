"""RAVDESS speech as arrays, and which actors are heard in training.

Livingstone and Russo, The Ryerson audio-visual database of emotional speech and song, PLoS ONE 13(5), 2018.
Two sentences, twice each, at two intensities (neutral has one), by actors; odd numbers are men.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from engines.sentiment.voice.classes import CLASSES, EMOTION_OF
from engines.speech.features import SAMPLE_RATE
from nodes.runtime.errors import UserError

FOLDS = 4
KEPT_FOLD = 3  # the shipped network is the one of the fold whose actors are the last: it never heard them


@dataclass(frozen=True)
class Recordings:
    """samples: int16 [n] at 16 kHz each.  classes int64 [N] into CLASSES, emotions int64 [N] into EMOTIONS,
    actors int64 [N].
    """

    samples: tuple[NDArray[np.int16], ...]
    classes: NDArray[np.int64]
    actors: NDArray[np.int64]

    @property
    def emotions(self) -> NDArray[np.int64]:
        return np.array(EMOTION_OF, np.int64)[self.classes]

    def of(self, actors: tuple[int, ...]) -> "Recordings":
        chosen = np.isin(self.actors, actors)
        samples = tuple(sound for sound, wanted in zip(self.samples, chosen, strict=True) if wanted)
        return Recordings(samples, self.classes[chosen], self.actors[chosen])


def load_recordings(data: Path, limit: int | None = None) -> Recordings:
    """DATA/ravdess, by name.  limit: actors up to this number, and of each the first sentence once."""
    folder = data / "ravdess"
    paths = sorted(folder.glob("03-01-*-*-*-*-*.opus"))
    if not paths:
        raise UserError(f"{folder}: no recordings 03-01-….opus; docs/training.md says where the data is from")
    wanted, classes, actors = [], [], []
    for path in paths:
        _, _, emotion, _, sentence, take, actor = (int(number) for number in path.stem.split("-"))
        if not 1 <= emotion <= len(CLASSES):
            raise UserError(f"{path}: emotion {emotion:02d} is none of RAVDESS's eight; remove the file")
        if limit is None or (actor <= limit and sentence == take == 1):
            wanted.append(path)
            classes.append(emotion - 1)
            actors.append(actor)
    with ThreadPoolExecutor() as pool:
        samples = tuple(pool.map(_read, wanted))
    return Recordings(samples, np.array(classes), np.array(actors))


def _read(path: Path) -> NDArray[np.int16]:
    sound, rate = soundfile.read(path, dtype="int16", always_2d=True)
    if rate != SAMPLE_RATE:
        raise UserError(f"{path}: {rate} Hz; encode it at 16 kHz")
    return np.ascontiguousarray(sound[:, 0])


def fold_actors(actors: NDArray[np.int64], fold: int) -> tuple[int, ...]:
    """The actors that fold 0..3 tests on: a quarter of them, men and women alternating."""
    numbers = np.unique(actors)
    return tuple(int(actor) for actor in np.array_split(numbers, FOLDS)[fold])
