"""A file of mouth crops: grey pictures as nearly lossless H.264, which any player shows."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

CROP_SIZE = 112
CRF = "12"


def write_crops(path: Path, crops: list[NDArray[np.uint8]], fps: Fraction) -> None:
    """H.264 close to lossless; the file appears under its name only when it is whole."""
    part = path.with_suffix(".part")
    with av.open(str(part), "w", format="mp4") as container:
        stream: Any = container.add_stream("libx264", rate=fps, options={"crf": CRF, "preset": "slow"})
        stream.width = stream.height = CROP_SIZE
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        for crop in crops:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(crop, format="gray")))
        container.mux(stream.encode())
    part.replace(path)


def read_crops(path: Path) -> np.ndarray:
    """The crops ``write_crops`` wrote: uint8 [frames, 112, 112]."""
    with av.open(str(path), metadata_errors="replace") as container:
        return np.stack([picture.to_ndarray(format="gray") for picture in container.decode(video=0)])
