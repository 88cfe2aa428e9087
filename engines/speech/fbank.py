"""Kaldi's log-mel filter banks, as sherpa-onnx feeds them to the models of its releases.

80 bands from 20 to 7600 Hz, windows of 25 ms every 10 ms, ``snip_edges`` off and no dither.  The same numbers
as ``kaldi-native-fbank`` gives with these options (the test compares them).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nodes.runtime.messages import SAMPLE_RATE

Float = NDArray[Any]

BANDS = 80
HOP, WINDOW, FFT = 160, 400, 512
LOWEST_HZ, HIGHEST_HZ = 20.0, SAMPLE_RATE / 2 - 400.0
PREEMPHASIS = 0.97
# With ``snip_edges`` off the middle of window 0 is the middle of hop 0: it begins before the first sample.
BEFORE = (WINDOW - HOP) // 2


def mel_filters() -> Float:
    """float32 [FFT / 2, BANDS]: triangles on Kaldi's mel scale, 1127 ln(1 + f / 700)."""
    edges = np.linspace(_mel(LOWEST_HZ), _mel(HIGHEST_HZ), BANDS + 2)
    bins = _mel(np.arange(FFT // 2) * SAMPLE_RATE / FFT)[:, None]
    left, middle, right = edges[:-2], edges[1:-1], edges[2:]
    slopes = np.minimum((bins - left) / (middle - left), (right - bins) / (right - middle))
    return np.maximum(0.0, slopes).astype(np.float32)


def povey_window() -> Float:
    """float32 [WINDOW]: a Hann window to the power of 0.85, which never reaches zero in Kaldi's words."""
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(WINDOW) / (WINDOW - 1))
    return (hann**0.85).astype(np.float32)


class Fbank:
    """``push`` samples in pieces of any size; the frames do not depend on where the pieces were cut."""

    def __init__(self) -> None:
        self._window = povey_window()
        self._filters = mel_filters()
        self.reset()

    def reset(self) -> None:
        """Forget the past, as before the first sample."""
        self._began = False
        self._tail: Float = np.zeros(0, np.float32)

    def push(self, samples: Float) -> Float:
        """samples: float32 [n], -1..1.  Returns float32 [k, 80], the frames these samples complete."""
        sound = np.concatenate([self._tail, np.asarray(samples, np.float32)])
        if not self._began and len(sound) >= BEFORE:
            sound = np.concatenate([sound[BEFORE - 1 :: -1], sound])  # mirrored, as Kaldi does
            self._began = True
        count = max(0, (len(sound) - WINDOW) // HOP + 1) if self._began else 0
        self._tail = sound[count * HOP :].copy()
        if count == 0:
            return np.zeros((0, BANDS), np.float32)
        frames = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP][:count]
        frames = frames - frames.mean(axis=1, keepdims=True)
        before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
        frames = (frames - PREEMPHASIS * before) * self._window
        power = np.abs(np.fft.rfft(frames, FFT, axis=1)[:, :-1]).astype(np.float32) ** 2
        return np.log(np.maximum(power @ self._filters, np.finfo(np.float32).eps))


def _mel(hertz: Any) -> Any:
    return 1127.0 * np.log(1.0 + hertz / 700.0)
