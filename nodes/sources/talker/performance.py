"""How a rendered person speaks: a face whose mouth says timed words, that nods a little and blinks."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from nodes.sources.talker.canvas import CANVAS, CENTRE, HEIGHT, UNIT, WIDTH, plane, step
from nodes.sources.talker.eyes import Eyes
from nodes.sources.talker.face import CHIN_Y, MOUTH_Y, Portrait
from nodes.sources.talker.identity import Identity, random_identity
from nodes.sources.talker.mouth import JAW_DROP, Mouth
from nodes.sources.talker.visemes import JAW, Word, mouth_track

FRAME_RATE = 25


class Actor:
    """One person, ready to be drawn with any mouth, blink and pose."""

    def __init__(self, who: Identity) -> None:
        portrait = Portrait(who)
        self._image = portrait.image
        self._mouth, self._eyes = Mouth(portrait), Eyes(portrait)
        rows = slice(round(CENTRE[1] + 0.35 * UNIT), CANVAS[0])
        columns = slice(round(CENTRE[0] - 1.15 * UNIT), round(CENTRE[0] + 1.15 * UNIT))
        self._jaw_window = (rows, columns)
        x, y = plane(rows, columns)
        hang = step(MOUTH_Y - 0.12, CHIN_Y - 0.15, y) * step(CHIN_Y + 0.45, CHIN_Y + 0.02, y)
        self._jaw = hang * step(1.05, 0.55, np.abs(x)) * UNIT
        self._jaw_grid = np.mgrid[: x.shape[0], : x.shape[1]].astype(np.float32)
        out_y, out_x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
        self._out = (2 * out_x + 0.5, 2 * out_y + 0.5)
        x, y = (self._out[0] - CENTRE[0]) / UNIT, (self._out[1] - CENTRE[1]) / UNIT
        self._offset = (x, y)
        # What moves with the head; the wall stays, the shoulders hardly move.
        reach = np.sqrt((x / 1.9) ** 2 + ((y + 0.1) / 2.0) ** 2)
        self._moves = step(1.0, 0.62, reach) * step(1.75, 1.35, y)
        self._depth = cv2.resize(portrait.depth, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)

    def picture(
        self, mouth: NDArray[np.float64], blink: float = 0.0, pose: NDArray[np.float64] | None = None
    ) -> NDArray[np.uint8]:
        """uint8 (288, 360, 3), RGB.

        mouth: (8,), a row of `mouth_track`; blink: 0 open to 1 closed; pose: (5,), shift right and down in
        head half-widths, roll, yaw and pitch in radians (small: at most about 0.15).
        """
        canvas = self._image.copy()
        self._eyes.paint(canvas, blink)
        rows, columns = self._jaw_grid
        lower = rows - np.float32(JAW_DROP * mouth[JAW]) * self._jaw
        canvas[self._jaw_window] = cv2.remap(canvas[self._jaw_window], columns, lower, cv2.INTER_LINEAR)
        self._mouth.paint(canvas, mouth)
        right, down, roll, yaw, pitch = np.zeros(5) if pose is None else pose
        x, y = self._offset
        dx = right - roll * (y - 1.3) + yaw * self._depth
        dy = down + roll * x + pitch * self._depth
        source_x = self._out[0] - np.asarray(self._moves * dx * UNIT, np.float32)
        source_y = self._out[1] - np.asarray(self._moves * dy * UNIT, np.float32)
        small = cv2.remap(canvas, source_x, source_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(np.clip(small + 0.5, 0, 255), np.uint8)


def render_clip(words: Sequence[Word], seconds: float, seed: int) -> Iterator[NDArray[np.uint8]]:
    """Pictures, uint8 (288, 360, 3) RGB at 25 a second, of someone saying `words`.

    A word is (text, start, end) in seconds. Picture k is of the time (k + 0.5) / 25, the middle of its 40 ms.
    `seed` draws the person, the motion of the head, the blinks and how far the mouth opens.
    Raises KeyError for a word outside GRID's.
    """
    rng = np.random.default_rng(seed)
    actor = Actor(random_identity(rng))
    times = (np.arange(round(seconds * FRAME_RATE)) + 0.5) / FRAME_RATE
    mouths = mouth_track(words, times, effort=float(rng.uniform(0.8, 1.15)))
    poses, blinks = _head_motion(rng, times), _blinks(rng, times)
    for mouth, blink, pose in zip(mouths, blinks, poses, strict=True):
        yield actor.picture(mouth, blink, pose)


def _head_motion(rng: np.random.Generator, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """(times, 5) poses: a slow sway, two sines slower than 0.7 Hz an axis, about a pose of its own."""
    amplitude = np.array([0.020, 0.016, 0.014, 0.030, 0.026]) * rng.uniform(0.5, 1.3)
    resting = rng.normal(0, 1, 5) * np.array([0.05, 0.04, 0.02, 0.04, 0.03])
    rates, phases = rng.uniform(0.1, 0.7, (2, 5)), rng.uniform(0, 2 * np.pi, (2, 5))
    waves = np.sin(2 * np.pi * rates[:, None, :] * times[None, :, None] + phases[:, None, :])
    return np.asarray(resting + amplitude * (0.65 * waves[0] + 0.35 * waves[1]))


def _blinks(rng: np.random.Generator, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """(times,) from 0 to 1: a blink of a quarter of a second, every 2 to 5 seconds."""
    closed = np.zeros_like(times)
    at = times[0] + rng.uniform(0.3, 2.5)
    while at < times[-1]:
        closed = np.maximum(closed, np.clip(1.15 - np.abs(times - at) / 0.11, 0, 1))
        at += rng.uniform(2, 5)
    return closed
