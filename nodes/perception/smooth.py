"""Landmarks that hold still while the head does, and keep up when it moves."""

import numpy as np

from nodes.perception.crop import LEFT_EYE, NOSE, RIGHT_EYE, Points, reach

# Hz: what passes of a head at rest.  Speech moves the mouth corners at 2 to 6 Hz: the crop must not follow
# them.
REST_CUTOFF = 0.8
# Hz more for each reach a second that the head moves.
SPEED_GAIN = 6.0
SPEED_CUTOFF = 2.0


class LandmarkFilter:
    """The one-euro filter (Casiez, Roussel, Vogel, CHI 2012) with one cutoff for all five points.

    The cutoff rises with the speed of the eyes and nose alone, in reaches a second: a moving jaw does not
    open the filter, a moving head does.  Causal: no look-ahead.
    """

    def __init__(self) -> None:
        self._points: Points | None = None
        self._raw: Points | None = None
        self._velocity = np.zeros(2)
        self._t_ns = 0

    def update(self, landmarks: Points, t_ns: int) -> Points:
        """The smoothed landmarks [5, 2] at ``t_ns``, which must not go back."""
        if self._points is None or self._raw is None:
            self._points = self._raw = landmarks.astype(np.float32)
            self._t_ns = t_ns
            return self._points
        seconds = max((t_ns - self._t_ns) * 1e-9, 1e-3)
        rigid = [RIGHT_EYE, LEFT_EYE, NOSE]
        moved = (landmarks[rigid] - self._raw[rigid]).mean(axis=0) / max(reach(landmarks), 1.0)
        self._velocity += _share(SPEED_CUTOFF, seconds) * (moved / seconds - self._velocity)
        cutoff = REST_CUTOFF + SPEED_GAIN * float(np.linalg.norm(self._velocity))
        self._points = (self._points + _share(cutoff, seconds) * (landmarks - self._points)).astype(
            np.float32
        )
        self._raw, self._t_ns = landmarks.astype(np.float32), t_ns
        return self._points


def _share(cutoff: float, seconds: float) -> float:
    """How much of a new sample a first-order low-pass of ``cutoff`` Hz takes after ``seconds``."""
    return 1.0 / (1.0 + 1.0 / (2 * np.pi * cutoff * seconds))
