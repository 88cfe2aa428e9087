"""FER2013 as arrays: Training/ to learn from, a part of it to choose by, PublicTest/ to measure on.

Goodfellow et al., Challenges in representation learning, 2013.  Grey faces of 48x48 pixels, found by a
Haar-like detector and framed as ``nodes.perception.crop.face_framing`` frames live ones (FACE_SIDE was set by
these pictures).  Labels are one person's opinion each and wrong for perhaps one in ten.
"""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.sentiment.emotions import EMOTIONS
from nodes.runtime.errors import UserError

FER_SIDE = 48
KEPT = 20  # one in so many of the training pictures is kept to choose and to calibrate by


@dataclass(frozen=True)
class Pictures:
    """images uint8 [n, 48, 48], labels int64 [n] into EMOTIONS, names of their files."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    names: tuple[str, ...]

    def only(self, chosen: NDArray[np.bool_]) -> "Pictures":
        names = tuple(name for name, wanted in zip(self.names, chosen, strict=True) if wanted)
        return Pictures(self.images[chosen], self.labels[chosen], names)


def load_pictures(data: Path, folder: str, limit: int | None = None) -> Pictures:
    """``folder`` ("Training" or "PublicTest") of DATA/fer2013.zip; ``limit``: so many of a shuffle."""
    path = data / "fer2013.zip"
    if not path.is_file():
        raise UserError(f"{path}: no such file; docs/training.md says where the data is from")
    with zipfile.ZipFile(path) as archive:
        names = sorted(
            name for name in archive.namelist() if name.startswith(folder) and name.endswith("jpg")
        )
        if limit is not None:
            names = sorted(names, key=lambda name: zlib.crc32(name.encode()))[:limit]
        images = np.empty((len(names), FER_SIDE, FER_SIDE), np.uint8)
        for i, name in enumerate(names):
            picture = cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_GRAYSCALE)
            if picture is None or picture.shape != images.shape[1:]:
                raise UserError(f"{path}: {name} is no picture of 48x48; fetch the archive again")
            images[i] = picture
    labels = np.array([EMOTIONS.index(PurePosixPath(name).parts[1]) for name in names], np.int64)
    return Pictures(images, labels, tuple(names))


def split(pictures: Pictures) -> tuple[Pictures, Pictures]:
    """What is learnt from, and the twentieth that is kept to choose by, told apart by name."""
    kept = np.array([zlib.crc32(PurePosixPath(name).name.encode()) % KEPT == 0 for name in pictures.names])
    return pictures.only(~kept), pictures.only(kept)


def enlarged(images: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Pictures [n, 48, 48] as the live crop would show them: [n, side, side]."""
    large = [cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC) for image in images]
    return np.stack(large) if large else np.zeros((0, side, side), np.uint8)
