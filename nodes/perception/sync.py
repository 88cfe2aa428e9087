"""How much later is the picture than the sound?  Read off how well voice and lips agree at each shift.

As in SyncNet (Chung and Zisserman, 2016): embeddings of both, trained to be alike when they belong together,
are compared at several lags; the mean over the last seconds has its peak at the offset.
"""

import numpy as np

from nodes.runtime.messages import FRAME_NS

LAGS = 5
FRAMES = 75
# Fewer pairs of spoken frames than these say nothing.
MIN_PAIRS = 25
# How far the peak must stand above the mean of the other lags, in cosine: on GRID clips it does by 0.38 to
# 0.63, also at 0 dB of noise; with the picture of another clip by 0.07 to 0.31.
MARGIN = 0.35


class Sync:
    """``push`` the embeddings of each chunk, read ``error_ms``."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Another face, another microphone, or a hole: what was heard and seen before says nothing."""
        self._sound = np.zeros((0, 0), np.float32)
        self._lips = np.zeros((0, 0), np.float32)
        self._there = np.zeros((0, 2), bool)

    def push(self, sound: np.ndarray, lips: np.ndarray, spoken: np.ndarray, seen: np.ndarray) -> None:
        """sound, lips: unit vectors float32 [T, 64].  spoken, seen: bool [T], frames that can be compared."""
        if not len(self._sound):
            self._sound, self._lips = sound[:0], lips[:0]
        there = np.stack([spoken, seen], axis=1)
        self._sound = np.concatenate([self._sound, sound])[-FRAMES:]
        self._lips = np.concatenate([self._lips, lips])[-FRAMES:]
        self._there = np.concatenate([self._there, there])[-FRAMES:]

    def error_ms(self) -> float | None:
        """Milliseconds the picture is late (negative: early), None where it cannot be told."""
        curve = self.curve()
        if curve is None:
            return None
        peak = int(curve.argmax())
        others = np.delete(curve, peak)
        if peak in (0, 2 * LAGS) or curve[peak] - others.mean() < MARGIN:
            return None
        left, top, right = (float(c) for c in curve[peak - 1 : peak + 2])
        # The vertex of the parabola through the peak and its neighbours.
        shift = 0.5 * (left - right) / min(left - 2 * top + right, -1e-9)
        return (peak - LAGS + shift) * FRAME_NS / 1e6

    def curve(self) -> np.ndarray | None:
        """Mean cosine at lags -5 to 5 frames, float64 [11]; None where a lag has fewer than 25 pairs."""
        if len(self._sound) < MIN_PAIRS:
            return None
        cosines = self._sound.astype(np.float64) @ self._lips.T.astype(np.float64)
        pairs = self._there[:, :1] & self._there[:, 1]
        means = []
        for lag in range(-LAGS, LAGS + 1):
            usable = np.diagonal(pairs, lag)
            if usable.sum() < MIN_PAIRS:
                return None
            means.append(np.diagonal(cosines, lag)[usable].mean())
        return np.array(means)
