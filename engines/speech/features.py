"""Log-mel features, computed as the sound arrives and identically in training.

80 mel bands (O'Shaughnessy's scale, 20 Hz to 7.6 kHz), 25 ms Hann window, 10 ms hop at 16 kHz.  Frame i
covers
samples [160 i - 240, 160 i + 160): it needs no sample past its hop, so 2560 samples give exactly 16 frames.
"""

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
HOP = 160
WINDOW = 400
FFT = 512
BANDS = 80
LOW_HZ, HIGH_HZ = 20.0, 7600.0
FLOOR = 1e-5
# Mean and spread of the log-mel values of training speech: they only centre the numbers, so they are
# constants.
MEAN, SPREAD = -4.0, 4.0

Float = NDArray[np.float32]


def mel_filters(warp: float = 1.0) -> Float:
    """Triangular filters float32 [FFT // 2 + 1, BANDS].

    warp: scales the frequency axis, imitating another vocal tract length (VTLP, Jaitly and Hinton 2013);
    1.0 live.
    """
    edges_mel = np.linspace(_mel(LOW_HZ), _mel(HIGH_HZ), BANDS + 2)
    edges = 700.0 * (10.0 ** (edges_mel / 2595.0) - 1.0)
    bins = np.arange(FFT // 2 + 1) * (SAMPLE_RATE / FFT) * warp
    rising = (bins[:, None] - edges[None, :-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[None, 2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)


def _mel(hertz: float) -> float:
    return 2595.0 * float(np.log10(1.0 + hertz / 700.0))


def hann() -> Float:
    """The periodic Hann window, float32 [WINDOW]."""
    return (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(WINDOW) / WINDOW)).astype(np.float32)


class LogMel:
    """``push`` samples in pieces of any size; the frames do not depend on where the pieces were cut."""

    def __init__(self) -> None:
        self._window = hann()
        self._filters = mel_filters()
        self._tail: Float
        self.reset()

    def reset(self) -> None:
        """Forget the past, as before the first sample: silence."""
        self._tail = np.zeros(WINDOW - HOP, np.float32)

    def push(self, samples: Float) -> Float:
        """samples: float32 [n], -1..1.  Returns float32 [k, 80], the frames these samples complete."""
        sound = np.concatenate([self._tail, np.asarray(samples, np.float32)])
        count = max(0, (len(sound) - WINDOW) // HOP + 1)
        self._tail = sound[count * HOP :].copy()
        if count == 0:
            return np.zeros((0, BANDS), np.float32)
        frames = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP][:count] * self._window
        power = np.abs(np.fft.rfft(frames, FFT, axis=1)).astype(np.float32) ** 2
        return (np.log(power @ self._filters + FLOOR) - MEAN) / SPREAD
