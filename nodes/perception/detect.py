"""Where are faces in a picture?  Haar cascades (in every OpenCV) and YuNet (a file) give the same answer."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import cv2.data
import numpy as np
from numpy.typing import NDArray

from engines.store import open_store
from nodes.runtime.errors import UserError

# Its name in the catalogue of public models.
YUNET = "yunet"
# The smallest face a detector sees, in pixels of the shrunken picture: Haar's window is 20, with a margin.
_SMALLEST = 24
# The default of ``min_face``, a share of the picture's shorter side.
MIN_FACE = 0.15

Image = NDArray[Any]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Detection:
    """box: x, y, width, height in pixels of the picture.  landmarks: float32 [5, 2] where they are known.

    score: 0..1, for comparing detections of one detector only.
    """

    box: Box
    score: float
    landmarks: NDArray[Any] | None = None


class Detector(Protocol):
    """Finds faces no smaller than ``min_face`` of the picture's shorter side.

    The picture is shrunk until such a face is just big enough, so the cost does not grow with the picture.
    """

    def detect(self, image: Image) -> list[Detection]:
        """Every face in ``image`` uint8 [h, w, 3] BGR, in no particular order."""
        ...


class Haar:
    """Viola and Jones (CVPR 2001): upright frontal faces, with OpenCV's ``frontalface_alt2`` cascade."""

    def __init__(self, min_face: float) -> None:
        path = Path(cv2.data.haarcascades) / "haarcascade_frontalface_alt2.xml"
        self._cascade = cv2.CascadeClassifier(str(path))
        if self._cascade.empty():
            raise UserError(f"{path}: OpenCV's cascade is missing; reinstall opencv-python")
        self._shorter = round(_SMALLEST / min_face)

    def detect(self, image: Image) -> list[Detection]:
        small, scale = _shrink(image, self._shorter)
        grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
        boxes, counts = self._cascade.detectMultiScale2(grey, 1.15, 3, minSize=(_SMALLEST, _SMALLEST))
        found = []
        for box, count in zip(boxes, counts, strict=True):
            x, y, width, height = (float(v) / scale for v in box)
            # Neighbouring windows that agree; ten or more is as sure as this gets.
            found.append(Detection((x, y, width, height), min(1.0, float(count) / 10)))
        return found


class YuNet:
    """Wu, Peng, Yu: YuNet, a tiny millisecond-level face detector (2023), as OpenCV runs it."""

    def __init__(self, path: Path, min_face: float, threshold: float = 0.6) -> None:
        if not path.is_file():
            raise UserError(f"{path}: no YuNet model there; leave `yunet` out for the one that was pulled")
        try:
            self._net = cv2.FaceDetectorYN.create(str(path), "", (320, 320), threshold)
        except cv2.error as error:
            raise UserError(f"{path}: not a YuNet model OpenCV can read; restore the file") from error
        self._shorter = round(_SMALLEST / min_face)

    def detect(self, image: Image) -> list[Detection]:
        small, scale = _shrink(image, self._shorter)
        self._net.setInputSize((small.shape[1], small.shape[0]))
        rows = self._net.detect(small)[1]
        found = []
        for row in rows if rows is not None else []:
            x, y, width, height = (float(v) for v in row[:4] / scale)
            if min(width, height) * scale >= _SMALLEST:
                points = (row[4:14].reshape(5, 2) + 0.5) / scale - 0.5
                found.append(Detection((x, y, width, height), float(row[14]), points.astype(np.float32)))
        return found


def open_detector(name: str, yunet: str, min_face: float) -> Detector:
    """name: "haar", "yunet", or "auto" for YuNet where it has been pulled or ``yunet`` names its file.

    yunet: path of a file of the user's own; empty for the one in the store, whose sum is checked.
    Raises UserError.
    """
    if name not in ("auto", "haar", "yunet"):
        raise UserError(f"detector: {name!r} is none of auto, haar, yunet")
    if not 0.05 <= min_face <= 1:
        raise UserError(f"min_face: {min_face} is not a share of the picture between 0.05 and 1")
    if name == "haar":
        return Haar(min_face)
    if yunet:
        return YuNet(Path(yunet), min_face)
    store = open_store()
    if name == "auto" and not store.has(YUNET):
        return Haar(min_face)
    try:
        [path] = store.find(YUNET).values()
    except UserError as error:
        if name == "yunet":
            raise
        # A file that went bad must not keep a robot from seeing.
        logging.getLogger(__name__).warning("%s; faces are found by Haar cascades meanwhile", error)
        return Haar(min_face)
    return YuNet(path, min_face)


def _shrink(image: Image, shorter: int) -> tuple[Any, float]:
    """``image`` with its shorter side at most ``shorter`` pixels, and by how much it was scaled."""
    height, width = image.shape[:2]
    scale = min(1.0, shorter / min(height, width))
    if scale == 1.0:
        return image, 1.0
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), scale
