"""Small images in fewer bytes, to the bit: what travels between hosts.

What the pixels above and to the left do not tell of a pixel is small and alike everywhere, so zlib makes
little of it.  Half the bytes are half the packets that a link can lose.
"""

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_BYTES = 256 * 2**10  # of an image, unpacked: larger ones take too long
FAST = 1


def packs(dtype: np.dtype[Any], shape: tuple[int, ...], size: int) -> bool:
    """Whether an array of ``size`` bytes is an image that can be packed."""
    return dtype == np.uint8 and len(shape) > 1 and 0 < size <= MAX_BYTES


def pack(image: NDArray[Any]) -> NDArray[Any]:
    """uint8 [h, w, ...] to uint8 [n]."""
    left = np.diff(np.diff(image, axis=0, prepend=np.uint8(0)), axis=1, prepend=np.uint8(0))
    return np.frombuffer(zlib.compress(left.tobytes(), FAST), np.uint8)


def unpack(data: bytes | memoryview, shape: tuple[int, ...]) -> NDArray[Any]:
    """The image, read-only; ValueError where ``data`` is none of ``shape``."""
    count = int(np.prod(shape))
    stream = zlib.decompressobj()
    try:
        left = stream.decompress(data, count + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if len(left) != count or not stream.eof or stream.unused_data:
        raise ValueError(f"no packed image of {list(shape)}")
    image = np.frombuffer(left, np.uint8).reshape(shape)
    image = image.cumsum(axis=0, dtype=np.uint8).cumsum(axis=1, dtype=np.uint8)
    image.flags.writeable = False
    return image
