"""What is heard besides the speaker, at a signal-to-noise ratio over the spoken part."""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from engines.speech.layouts import SOUNDS, Clip
from engines.speech.recordings import read_sound
from nodes.runtime.errors import UserError
from nodes.runtime.messages import SAMPLE_RATE

Sound = NDArray[np.float32]

KINDS = ("noise", "babble")
# Where recordings for them usually are; not part of the repository.
USUAL = {"noise": "noise", "babble": "ravdess"}
SHARED = Path(__file__).parents[4] / "shared" / "data"
VOICES = 6  # that talk at once in babble


class Named(Protocol):
    """What is played: a clip, or several as one."""

    @property
    def name(self) -> str: ...

    @property
    def speaker(self) -> str: ...


class Heard(NamedTuple):
    """A condition of the sound: what is added, how many decibels below the speech; "" adds nothing."""

    kind: str = ""
    snr_db: float = 0.0

    def __str__(self) -> str:
        return f"{self.kind} {self.snr_db:+.0f} dB" if self.kind else "clean"


class Backgrounds:
    """noise: stretches of the recordings of a folder.  babble: six voices of a folder at once, or of other
    clips, by other speakers where there are any.

    The same clip and condition always get the same background.
    """

    def __init__(self, noise: Path | None, babble: Path | None, clips: Sequence[Clip]) -> None:
        self._noises = _recordings(noise) if noise else []
        self._voices = _recordings(babble) if babble else []
        self._clips = clips
        self._last: tuple[str, str, Sound] | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """Those that there are recordings for."""
        enough = len(self._voices) >= VOICES or len(self._clips) > VOICES
        return tuple(kind for kind, there in zip(KINDS, (self._noises, enough), strict=True) if there)

    def add(self, clip: Named, samples: Sound, spoken: slice, heard: Heard) -> Sound:
        """samples float32 [n] with the background in them, scaled down where the sum would clip."""
        if not heard.kind:
            return samples
        added = self._background(clip, heard.kind, len(samples))
        speech, power = float(np.mean(samples[spoken] ** 2)), float(np.mean(added**2))
        both = samples + added * np.sqrt(speech / max(power, 1e-12) * 10 ** (-heard.snr_db / 10))
        return (both / max(1.0, float(np.abs(both).max()))).astype(np.float32)

    def _background(self, clip: Named, kind: str, count: int) -> Sound:
        if self._last is None or self._last[:2] != (clip.name, kind):
            rng = np.random.default_rng(zlib.crc32(f"{clip.name} {kind}".encode()))
            added = self._noise(count, rng) if kind == "noise" else self._babble(clip, count, rng)
            self._last = (clip.name, kind, added)
        return self._last[2]

    def _noise(self, count: int, rng: np.random.Generator) -> Sound:
        return _stretch(read_sound(self._noises[rng.integers(len(self._noises))]), count, rng)

    def _babble(self, clip: Named, count: int, rng: np.random.Generator) -> Sound:
        if self._voices:
            voices = [
                read_sound(self._voices[i]) for i in rng.choice(len(self._voices), VOICES, replace=False)
            ]
        else:
            voices = [_voice(other) for other in self._others(clip, rng)]
        levelled = (_stretch(voice / (np.sqrt(np.mean(voice**2)) + 1e-6), count, rng) for voice in voices)
        return np.sum(list(levelled), axis=0, dtype=np.float32)

    def _others(self, clip: Named, rng: np.random.Generator) -> list[Clip]:
        others = [other for other in self._clips if other.speaker != clip.speaker]
        if len(others) < VOICES:
            others = [other for other in self._clips if other.name != clip.name]
        return [others[i] for i in rng.choice(len(others), VOICES, replace=False)]


def spoken_part(samples: Sound, times: Sequence[tuple[str, float, float]]) -> slice:
    """From the first word to the last; where no times are known, from the first loud 10 ms to the last."""
    if times:
        return slice(round(times[0][1] * SAMPLE_RATE), round(times[-1][2] * SAMPLE_RATE))
    hop = SAMPLE_RATE // 100
    frames = samples[: len(samples) // hop * hop].reshape(-1, hop)
    level = np.sqrt(np.mean(frames**2, axis=1))
    loud = np.flatnonzero(level > 0.1 * level.max(initial=1e-6))  # 20 dB below
    return slice(loud[0] * hop, (loud[-1] + 1) * hop) if len(loud) else slice(None)


def usual(kind: str) -> Path | None:
    """The folder of recordings for a kind of noise, where this machine has it."""
    folder = SHARED / USUAL[kind]
    return folder if folder.is_dir() else None


def _recordings(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.glob("*") if path.suffix.lower() in SOUNDS)
    if not found:
        raise UserError(f"{folder}: no recordings there ({', '.join(sorted(SOUNDS))})")
    return found


def _voice(clip: Clip) -> Sound:
    with (clip.sound or clip.media).on_disk() as path:
        return read_sound(path)


def _stretch(sound: Sound, count: int, rng: np.random.Generator) -> Sound:
    """``count`` samples from a random place, going round where the recording is shorter."""
    return np.take(sound, rng.integers(len(sound)) + np.arange(count), mode="wrap")
