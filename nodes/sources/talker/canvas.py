"""What a rendered person is painted on and with: the canvas's coordinates, soft shapes, texture, light.

Coordinates are in head half-widths (`UNIT` pixels of the canvas), x to the right, y down, the origin between
the eyes and the tip of the nose. The canvas is twice the picture's size, so shrinking it smooths the edges.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 360, 288
CANVAS = (2 * HEIGHT, 2 * WIDTH)
UNIT = 152.0
CENTRE = (360.0, 276.0)

Plane = NDArray[Any]  # float32; numpy's stubs would have every product and mean cast back


def plane(rows: slice = slice(None), columns: slice = slice(None)) -> tuple[Plane, Plane]:
    """x and y of the canvas's pixels, or of a window of them."""
    y, x = np.mgrid[: CANVAS[0], : CANVAS[1]].astype(np.float32)
    return (x[rows, columns] - CENTRE[0]) / UNIT, (y[rows, columns] - CENTRE[1]) / UNIT


def step(low: float, high: float, value: Plane) -> Plane:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def bump(x: Plane, y: Plane, at: tuple[float, float], size: tuple[float, float]) -> Plane:
    """A Gaussian hill of height 1."""
    return np.exp(-(((x - at[0]) / size[0]) ** 2) - ((y - at[1]) / size[1]) ** 2)


def encode(linear: Plane) -> Plane:
    """Linear light to display values, 0 to 255."""
    return np.asarray(255 * np.clip(linear, 0, 1) ** (1 / 2.2), np.float32)


def noise(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> Plane:
    """Smooth random texture of unit variance whose spots are about `grain` pixels."""
    small = rng.standard_normal((int(shape[0] / grain) + 3, int(shape[1] / grain) + 3)).astype(np.float32)
    return cv2.resize(small, shape[::-1], interpolation=cv2.INTER_CUBIC)


def over(below: Plane, above: Plane, mask: Plane) -> Plane:
    """`above` laid over `below` where `mask` (one dimension less) is 1, mixed between 0 and 1."""
    return np.asarray(below + (above - below) * mask[..., None], np.float32)
