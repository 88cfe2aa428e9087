"""Where are faces in a picture?  Two detectors with one answer: Haar cascades (in every OpenCV) and YuNet (a file)."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from nodes.runtime.errors import UserError

YUNET_FILE = "face_detection_yunet_n_640_640.onnx"

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Detection:
    """box: x, y, width, height in pixels of the picture.  landmarks: float32 [5, 2] where the detector gives them."""

    box: tuple[float, float, float, float]
    score: float
    landmarks: NDArray[np.float32] | None = None


class Detector(Protocol):
    name: str

    def detect(self, image: Image) -> list[Detection]:
        """Every face in ``image`` uint8 [h, w, 3] BGR, in no particular order."""
        ...


class YuNet:
    """Wu, Peng, Yu: YuNet, a tiny millisecond-level face detector (2023), as OpenCV runs it.

    longest: the longer side of the picture, in pixels, as the network sees it.
    """

    name = "yunet"

    def __init__(self, path: Path, longest: int = 320, threshold: float = 0.6) -> None:
        if not path.is_file():
            raise UserError(
                f"{path}: no YuNet model there; give its path as `yunet:`, or use `detector: haar`"
            )
        try:
            self._net = cv2.FaceDetectorYN.create(str(path), "", (longest, longest), threshold)
        except cv2.error as error:
            raise UserError(f"{path}: not a YuNet model OpenCV can read; restore the file") from error
        self._longest = longest

    def detect(self, image: Image) -> list[Detection]:
        small, scale = _shrink(image, self._longest)
        self._net.setInputSize((small.shape[1], small.shape[0]))
        rows = self._net.detect(small)[1]
        found = []
        for row in rows if rows is not None else []:
            x, y, width, height = (float(v) for v in row[:4] / scale)
            points = (row[4:14].reshape(5, 2) + 0.5) / scale - 0.5
            found.append(Detection((x, y, width, height), float(row[14]), points.astype(np.float32)))
        return found


def yunet_path() -> Path:
    """Where YuNet's file is looked for: the folder in HEARSEE_MODELS, else ``../shared/models`` beside the project."""
    folder = os.environ.get("HEARSEE_MODELS")
    return (Path(folder) if folder else Path(__file__).parents[3] / "shared" / "models") / YUNET_FILE


def _shrink(image: Image, longest: int) -> tuple[Any, float]:
    """``image`` with its longer side at most ``longest`` pixels, and by how much it was scaled."""
    height, width = image.shape[:2]
    scale = min(1.0, longest / max(height, width))
    if scale == 1.0:
        return image, 1.0
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), scale
