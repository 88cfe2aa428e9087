"""How does a picture of any size come to be upright, BGR, and no larger than asked?"""

import av
import cv2
import numpy as np
from numpy.typing import NDArray


def fit(image: NDArray[np.uint8], max_side: int) -> NDArray[np.uint8]:
    """uint8 [height, width, 3], shrunk by area until its longer side is at most ``max_side``."""
    height, width = image.shape[:2]
    size = _fitted(width, height, max_side)
    return image if size == (width, height) else cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def upright(frame: av.VideoFrame, max_side: int) -> NDArray[np.uint8]:
    """A decoded frame as uint8 [height, width, 3] BGR, turned as its display matrix asks.

    Telephones film sideways and say so only there.
    """
    width, height = _fitted(frame.width, frame.height, max_side)
    image = frame.to_ndarray(format="bgr24", width=width, height=height, interpolation="AREA")
    # ``rotation`` counts anticlockwise, as rot90 does.
    return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90)))


def _fitted(width: int, height: int, max_side: int) -> tuple[int, int]:
    scale = min(1.0, max_side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
