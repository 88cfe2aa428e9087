"""How much later is the picture than the sound, and do they belong together at all?

Both are read off how well voice and lips agree at each shift.  As in SyncNet (Chung and Zisserman, 2016):
embeddings of both, trained to be alike when they belong together, are compared at several lags; the mean over
the last seconds has its peak at the offset, and the peak is high where these lips say what is heard.
"""

import numpy as np

from nodes.runtime.messages import FRAME_NS

# Offsets are told to 6 frames, 240 ms; the seventh lag shows that a peak there is one.
LAGS = 7
# The offset is that of a device: the mean over 3 s of it.  Who speaks changes: 2 s.
FRAMES, RECENT = 75, 50
# Fewer pairs of spoken frames than these say nothing of the offset, and of whether they belong together.
OFFSET_PAIRS, AGREEMENT_PAIRS = 25, 15
# From this on lips and voice belong together; 1 is as alike as those are that the models know.  ``python -m
# benchmarks.agreement`` prints where those that do and those that do not part best.
TOGETHER = 0.76
# Two sentences that begin with the same words go together for as long.  An offset is a device's and holds
# throughout: the less alike half of the pairs is at least this alike.
THROUGHOUT = 0.65


class Sync:
    """``push`` the embeddings of each chunk of one voice and one face; ``error_ms``, ``agreement``."""

    def __init__(self) -> None:
        self._sound = np.zeros((0, 0), np.float32)
        self._lips = np.zeros((0, 0), np.float32)
        self._there = np.zeros((0, 2), bool)

    def push(self, sound: np.ndarray, lips: np.ndarray, spoken: np.ndarray, seen: np.ndarray) -> None:
        """sound, lips: float32 [T, 64], see ``recogniser.Evidence``.  spoken, seen: bool [T], which of their
        frames can be compared."""
        if not len(self._sound):
            self._sound, self._lips = sound[:0], lips[:0]
        there = np.stack([spoken, seen], axis=1)
        self._sound = np.concatenate([self._sound, sound])[-FRAMES:]
        self._lips = np.concatenate([self._lips, lips])[-FRAMES:]
        self._there = np.concatenate([self._there, there])[-FRAMES:]

    def error_ms(self) -> float | None:
        """Milliseconds the picture is late (negative: early), None where it cannot be told."""
        lags = self._lags(FRAMES)
        curve = _means(lags, OFFSET_PAIRS)
        if curve is None:
            return None
        peak = int(curve.argmax())
        if peak in (0, 2 * LAGS) or curve[peak] < TOGETHER:
            return None
        if min(half.mean() for half in np.array_split(lags[peak], 2)) < THROUGHOUT:
            return None
        left, top, right = (float(c) for c in curve[peak - 1 : peak + 2])
        # The vertex of the parabola through the peak and its neighbours.
        shift = 0.5 * (left - right) / min(left - 2 * top + right, -1e-9)
        return (peak - LAGS + shift) * FRAME_NS / 1e6

    def agreement(self) -> float | None:
        """Mean likeness of voice and lips at the lag where it is highest; None where it cannot be told."""
        curve = self.curve(RECENT, AGREEMENT_PAIRS)
        return None if curve is None else float(curve.max())

    def curve(self, frames: int, least: int) -> np.ndarray | None:
        """Mean likeness at lags -7 to 7 over the last ``frames``, float64 [15].

        None where a lag has fewer than ``least`` pairs.
        """
        return _means(self._lags(frames), least)

    def sums(self, frames: int) -> tuple[np.ndarray, np.ndarray]:
        """At lags -7 to 7 over the last ``frames``: sum of the likenesses, and of how many; float64 [15]."""
        lags = self._lags(frames)
        return np.array([alike.sum() for alike in lags]), np.array([float(len(alike)) for alike in lags])

    def _lags(self, frames: int) -> list[np.ndarray]:
        """The likeness of each pair of frames that can be compared, by lag from -7 to 7; float64 [n] each."""
        sound, lips, there = self._sound[-frames:], self._lips[-frames:], self._there[-frames:]
        alike = sound.astype(np.float64) @ lips.T.astype(np.float64)
        pairs = there[:, :1] & there[:, 1]
        return [np.diagonal(alike, lag)[np.diagonal(pairs, lag)] for lag in range(-LAGS, LAGS + 1)]


def _means(lags: list[np.ndarray], least: int) -> np.ndarray | None:
    """None where a lag has fewer than ``least`` pairs."""
    if min(len(alike) for alike in lags) < least:
        return None
    return np.array([alike.mean() for alike in lags])
