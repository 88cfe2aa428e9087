"""Where the lips are in a picture: level, centred, at a scale that is the face's own, so that only speech moves in it.

Both crops are similarity transforms (turn, scale, shift) of the picture given by the five landmarks of
``messages.Face``.  The turn levels the lines through the eyes and through the mouth corners.  The unit of length is
the *reach*: the hypotenuse of eye distance and eye-to-mouth distance.  Turning the head shortens the one and nodding
the other, never both, so reach changes by 7 % at 30 degrees where the eye distance alone changes by 13 %.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from nodes.runtime.messages import FACE_SIZE, MOUTH_SIZE

RIGHT_EYE, LEFT_EYE, NOSE, RIGHT_MOUTH, LEFT_MOUTH = range(5)

# Sides of the squares in reaches.  An average resting mouth is 0.57 reaches wide: half the width of its crop.
MOUTH_SIDE = 1.15
# How Haar boxes and FER2013 frame a face: what it was measured to be on both (medians 1.97 and 1.97).
FACE_SIDE = 2.0
# Below this many crop pixels a picture pixel, bilinear sampling alone would alias.
_ANTIALIAS_BELOW = 0.6

Points = NDArray[np.float32]
Grey = NDArray[np.uint8]


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


def face_centre(landmarks: Points) -> Points:
    return 0.64 * eye_centre(landmarks) + 0.36 * mouth_centre(landmarks)


def mouth_crop(grey: Grey, landmarks: Points, size: int = MOUTH_SIZE) -> Grey:
    """The mouth out of ``grey`` uint8 [h, w] as uint8 [size, size], its centre in the middle.

    A larger ``size`` shows more at the same scale: training takes a margin to shift and cut in.
    """
    scale = MOUTH_SIZE / (MOUTH_SIDE * reach(landmarks))
    return level_crop(grey, mouth_centre(landmarks), scale, roll(landmarks), size)


def face_crop(grey: Grey, landmarks: Points, size: int = FACE_SIZE) -> Grey:
    """The whole face out of ``grey`` uint8 [h, w] as uint8 [size, size], forehead to chin."""
    return level_crop(
        grey, face_centre(landmarks), size / (FACE_SIDE * reach(landmarks)), roll(landmarks), size
    )


def level_crop(grey: Grey, centre: Points, scale: float, angle: float, size: int) -> Grey:
    """The square of ``size`` pixels about ``centre``, the picture magnified by ``scale`` and turned back by ``angle``.

    What lies outside the picture repeats its edge.
    """
    if scale < _ANTIALIAS_BELOW:
        # Only the part needed is shrunk; the margin covers any turn of the square.
        half = size / scale * 0.75 + 2
        x0, y0 = np.maximum(np.floor(centre - half), 0).astype(int)
        x1, y1 = np.ceil(centre + half).astype(int)
        part = grey[y0:y1, x0:x1]
        if part.size:
            height, width = part.shape
            small = (max(1, round(width * scale)), max(1, round(height * scale)))
            grey = cv2.resize(part, small, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
            shrink = np.array([small[0] / width, small[1] / height], np.float32)
            centre = (centre - (x0, y0) + 0.5) * shrink - 0.5
            scale = 1.0
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.array([[cos, sin], [-sin, cos]])
    shift = (size - 1) / 2 - turn @ centre
    matrix = np.column_stack([turn, shift])
    return cv2.warpAffine(  # type: ignore[return-value]
        grey, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
