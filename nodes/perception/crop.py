"""How a face is cut out of a picture: level, centred, at its own scale, so that only speech moves in it.

A crop is a similarity transform (turn, scale, shift) given by the five landmarks of ``messages.Face``.  The
turn levels the lines through the eyes and through the mouth corners.  The unit of length is the *reach*: the
hypotenuse of eye distance and eye-to-mouth distance.  Turning the head shortens the one and nodding the
other, seldom both, so reach changes by 7 % at 30 degrees where the distance alone changes by 13 %.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from nodes.runtime.messages import FACE_SIZE, MOUTH_SIZE

RIGHT_EYE, LEFT_EYE, NOSE, RIGHT_MOUTH, LEFT_MOUTH = range(5)

# Sides of the squares in reaches.  A resting mouth is about 0.6 reaches wide: half the width of its crop.
MOUTH_SIDE = 1.15
# How Haar boxes and FER2013 frame a face; measured on both, the medians are 1.97.
FACE_SIDE = 2.0
# Below this many crop pixels a picture pixel, bilinear sampling alone would alias.
_ANTIALIAS_BELOW = 0.6

Points = NDArray[Any]
Grey = NDArray[Any]
Image = NDArray[Any]


@dataclass(frozen=True)
class Framing:
    """A square of ``size`` pixels about ``centre`` [2] of a picture.

    scale: pixels of the crop a pixel of the picture.
    angle: radians, positive clockwise as the picture is seen; what leans by it stands upright in the crop.
    """

    centre: Points
    scale: float
    angle: float
    size: int

    def cut(self, image: Image) -> Image:
        """The crop uint8 [size, size] out of uint8 [h, w], or both with colours; its edge goes on beyond."""
        if self.scale < _ANTIALIAS_BELOW:
            return self._cut_shrunk(image)
        turn = self._turn()
        matrix = np.column_stack([turn, (self.size - 1) / 2 - turn @ self.centre])
        size = (self.size, self.size)
        return cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def inside(self, points: Points) -> Points:
        """Points [n, 2] of the picture in pixels of the crop."""
        return ((points - self.centre) @ self._turn().T + (self.size - 1) / 2).astype(np.float32)

    def outside(self, points: Points) -> Points:
        """Points [n, 2] of the crop in pixels of the picture."""
        return ((points - (self.size - 1) / 2) @ np.linalg.inv(self._turn()).T + self.centre).astype(
            np.float32
        )

    def _turn(self) -> NDArray[np.float64]:
        cos, sin = self.scale * np.cos(self.angle), self.scale * np.sin(self.angle)
        return np.array([[cos, sin], [-sin, cos]])

    def _cut_shrunk(self, image: Image) -> Image:
        """Shrinks the part that is needed first, averaging over areas."""
        half = self.size / self.scale * 0.75 + 2  # room for any turn of the square
        x0, y0 = (
            int(v) for v in np.clip(np.floor(self.centre - half), 0, (image.shape[1] - 1, image.shape[0] - 1))
        )
        x1, y1 = (int(v) for v in np.maximum(np.ceil(self.centre + half), (x0 + 1, y0 + 1)))
        part = image[y0:y1, x0:x1]
        height, width = part.shape[:2]
        small = (max(1, round(width * self.scale)), max(1, round(height * self.scale)))
        shrink = np.array([small[0] / width, small[1] / height])
        centre = (self.centre - (x0, y0) + 0.5) * shrink - 0.5
        return Framing(centre, 1.0, self.angle, self.size).cut(
            cv2.resize(part, small, interpolation=cv2.INTER_AREA)
        )


def reach(landmarks: Points) -> float:
    """The face's unit of length in picture pixels, from landmarks [5, 2]."""
    eyes = landmarks[LEFT_EYE] - landmarks[RIGHT_EYE]
    down = mouth_centre(landmarks) - eye_centre(landmarks)
    return float(np.sqrt(eyes @ eyes + down @ down))


def roll(landmarks: Points) -> float:
    """How far the head leans, radians, positive clockwise as the picture is seen."""
    across = landmarks[LEFT_EYE] - landmarks[RIGHT_EYE] + landmarks[LEFT_MOUTH] - landmarks[RIGHT_MOUTH]
    return float(np.arctan2(across[1], across[0]))


def eye_centre(landmarks: Points) -> Points:
    return (landmarks[RIGHT_EYE] + landmarks[LEFT_EYE]) / 2


def mouth_centre(landmarks: Points) -> Points:
    return (landmarks[RIGHT_MOUTH] + landmarks[LEFT_MOUTH]) / 2


def mouth_framing(landmarks: Points, size: int = MOUTH_SIZE) -> Framing:
    """The mouth in the middle.  A larger ``size`` shows more at the same scale, for training to cut."""
    scale = MOUTH_SIZE / (MOUTH_SIDE * reach(landmarks))
    return Framing(mouth_centre(landmarks), scale, roll(landmarks), size)


def face_framing(landmarks: Points, size: int = FACE_SIZE) -> Framing:
    """The whole face, forehead to chin, in ``size`` x ``size`` pixels."""
    centre = 0.64 * eye_centre(landmarks) + 0.36 * mouth_centre(landmarks)
    return Framing(centre, size / (FACE_SIDE * reach(landmarks)), roll(landmarks), size)


def box_framing(box: tuple[float, float, float, float]) -> Framing:
    """What a Haar box (x, y, width, height) frames, in 64 x 64 pixels."""
    x, y, width, height = box
    centre = np.array([x + (width - 1) / 2, y + (height - 1) / 2])
    return Framing(centre, FACE_SIZE / max(width, height), 0.0, FACE_SIZE)
