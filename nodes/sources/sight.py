"""Does a camera that sends pictures see anything?  It may be frozen, covered, or too slow for lips."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

# The same picture for so long, and so often, to the last bit: a sensor's noise alone makes two differ.
FROZEN_NS = 500_000_000
FROZEN_PICTURES = 4
# All but one in a hundred of the points darker than this (0 to 255), for so long: a face cannot be found.
BLACK_LEVEL = 32
BLACK_NS = 500_000_000
STEP = 8  # one point in so many, each way, is looked at

RATE_NS = 1_500_000_000
# With half of 25 pictures a second lips still help (docs/never_worse.md), with fewer less and less.
SLOW_FPS = 12.0
OFF_RATE = 0.2


class Sight:
    """Looks at every picture of one camera, also across its reopenings.

    fps: what was asked of the camera, 0 for nothing.
    """

    def __init__(self, device: int | str, fps: float) -> None:
        self._device = device
        self._fps = fps
        self._last: Image | None = None
        self._same = 0
        self._same_since_ns = 0
        self._black_since_ns: int | None = None
        self._taken_ns: deque[int] = deque()

    def look(self, image: Image, taken_ns: int) -> str:
        """Why this picture is not to be trusted, in a few words for a person; "" where nothing is wrong."""
        self._taken_ns.append(taken_ns)
        while taken_ns - self._taken_ns[0] > RATE_NS:
            self._taken_ns.popleft()
        if self._is_frozen(image, taken_ns):
            return f"camera {self._device} is frozen, it sends the same picture again and again"
        if self._is_black(image, taken_ns):
            return f"camera {self._device} sees only black, is it covered or in the dark"
        return ""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with the camera though its pictures are used."""
        taken_ns = list(self._taken_ns)
        if len(taken_ns) < 3 or (span := taken_ns[-1] - taken_ns[0]) < RATE_NS / 2:
            return ()
        rate = (len(taken_ns) - 1) * 1e9 / span
        told = f"camera {self._device} gives {rate:.0f} pictures a second"
        if self._fps and abs(rate / self._fps - 1) > OFF_RATE:
            return (f"{told}, not the {self._fps:g} it was asked for",)
        return (f"{told}, too few to read lips well",) if rate < SLOW_FPS else ()

    def _is_frozen(self, image: Image, taken_ns: int) -> bool:
        last, self._last = self._last, image
        if last is None or not _same(last, image):
            self._same, self._same_since_ns = 0, taken_ns
            return False
        self._same += 1
        return self._same >= FROZEN_PICTURES and taken_ns - self._same_since_ns >= FROZEN_NS

    def _is_black(self, image: Image, taken_ns: int) -> bool:
        if np.percentile(image[::STEP, ::STEP], 99) >= BLACK_LEVEL:
            self._black_since_ns = None
            return False
        self._black_since_ns = taken_ns if self._black_since_ns is None else self._black_since_ns
        return taken_ns - self._black_since_ns >= BLACK_NS


def _same(one: Image, other: Image) -> bool:
    few = slice(None, None, 4 * STEP)
    return one.shape == other.shape and np.array_equal(one[few], other[few]) and np.array_equal(one, other)
