"""How one recording becomes other speakers: pitch, vocal tract and pace changed with the WORLD vocoder.

Morise, Yokomori, Ozawa, "WORLD: a vocoder-based high-quality speech synthesis system for real-time
applications", IEICE Trans. Inf. Syst. E99-D (2016).
"""

from dataclasses import replace

import numpy as np
import pyworld
from numpy.typing import NDArray

from engines.speech.voices import RATE, Speech


class Revoice:
    """Analyses speech once, then speaks it again as other people."""

    _FRAME_MS = 5.0

    def __init__(self, speech: Speech) -> None:
        self._speech = speech
        samples = speech.samples.astype(np.float64)
        f0, times = pyworld.dio(samples, RATE, frame_period=self._FRAME_MS)
        self._f0 = pyworld.stonemask(samples, f0, times, RATE)
        self._envelope = pyworld.cheaptrick(samples, self._f0, times, RATE)
        self._aperiodicity = pyworld.d4c(samples, self._f0, times, RATE)

    def say(self, *, f0_scale: float, formant_scale: float, stretch: float, f0_range: float = 1.0) -> Speech:
        """F0 times `f0_scale`, formants times `formant_scale` (0.8 to 1.3), `stretch` times as long."""
        voiced = self._f0 > 0
        f0 = self._f0.copy()
        if voiced.any():
            mean = np.exp(np.log(f0[voiced]).mean())
            f0[voiced] = f0_scale * mean * (f0[voiced] / mean) ** f0_range
        envelope = _warp_frequency(self._envelope, formant_scale)
        aperiodicity = _warp_frequency(self._aperiodicity, formant_scale)
        samples = pyworld.synthesize(f0, envelope, aperiodicity, RATE, self._FRAME_MS * stretch)
        samples *= min(
            1.0, 0.95 / np.abs(samples).max(initial=1e-9)
        )  # a moved formant may resonate beyond ±1
        words = tuple((text, start * stretch, end * stretch) for text, start, end in self._speech.words)
        return replace(self._speech, samples=samples.astype(np.float32), words=words)


def _warp_frequency(spectrum: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    """Moves what is at frequency f to f·scale; (frames, bins) in and out."""
    last = spectrum.shape[1] - 1
    source = np.minimum(np.arange(last + 1) / scale, last)
    low = np.minimum(source.astype(int), last - 1)
    share = source - low
    return np.ascontiguousarray(spectrum[:, low] * (1 - share) + spectrum[:, low + 1] * share)


def as_other_speaker(speech: Speech, rng: np.random.Generator) -> Speech:
    """A woman, a child or another man from an adult's voice, the vocal tract going with the pitch."""
    return other_speaker(Revoice(speech), rng)


def other_speaker(speaker: Revoice, rng: np.random.Generator) -> Speech:
    """The same of a voice that is analysed already."""
    tract = rng.uniform(0.84, 1.28)
    return speaker.say(
        f0_scale=float(tract**2 * rng.uniform(0.8, 1.25)),
        formant_scale=float(tract),
        stretch=float(rng.uniform(0.85, 1.2)),
        f0_range=float(rng.uniform(0.6, 1.5)),
    )
