"""The landmark network on one framed face: five points in the picture, and whether they can be trusted."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.engine import open_engine
from nodes.perception.crop import Framing, Grey, Points

WEIGHTS = Path(__file__).parents[2] / "engines" / "face" / "weights" / "landmarks.onnx"


@dataclass(frozen=True)
class Look:
    """landmarks: float32 [5, 2] in pixels of the picture.  presence: 0..1, that the framing holds a face.

    visible: float32 [5], 0..1 for each point, that it is neither covered nor out of the picture.
    """

    landmarks: Points
    presence: float
    visible: Points


class LandmarkEngine:
    """Raises ModelError where the file is missing or not this model."""

    def __init__(self, path: Path = WEIGHTS) -> None:
        self._engine = open_engine(path, require={"image": ((1, 64, 64), np.dtype(np.uint8))})

    def look(self, grey: Grey, framing: Framing) -> Look:
        """What is in ``framing`` of ``grey`` uint8 [h, w]."""
        found = self._engine.run({"image": framing.cut(grey)[None]})
        return Look(framing.outside(found["points"][0]), float(found["presence"][0]), found["visible"][0])
