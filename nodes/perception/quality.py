"""How far the lips of a crop can be trusted: the product of six factors from 0 (useless) to 1 (no hindrance).

- size: reach of the face in pixels of the picture; 0 at 12 (a mouth of 7 pixels), 1 from 40 (24 pixels).
- sharpness: see below; 0 at 0.015 (a Gaussian blur of 3.5 pixels of the crop), 1 from 0.07 (2 pixels).
- pose: nose off the middle of the eyes, in eye distances; 1 to 0.2 (15 degrees), 0 at 0.55 (about 50).
- light: standard deviation of the crop in grey levels; 0 at 2, 1 from 10.
- cover: how visible the less visible mouth corner is to the landmark network.
- frame: share of the mouth crop that lies in the picture; 0 at a half, 1 when all of it does.
"""

import cv2
import numpy as np

from nodes.perception.crop import (
    LEFT_EYE,
    LEFT_MOUTH,
    NOSE,
    RIGHT_EYE,
    RIGHT_MOUTH,
    Framing,
    Grey,
    Points,
    eye_centre,
    reach,
)


def quality(
    mouth: Grey, framing: Framing, landmarks: Points, visible: Points, shape: tuple[int, ...]
) -> float:
    """0..1 for the crop ``mouth`` cut by ``framing`` out of a picture of ``shape`` (height, width, ...)."""
    return float(
        _ramp(reach(landmarks), 12, 40)
        * _ramp(sharpness(mouth), 0.015, 0.07)
        * _ramp(asymmetry(landmarks), 0.55, 0.2)
        * _ramp(float(mouth.std()), 2, 10)
        * min(visible[RIGHT_MOUTH], visible[LEFT_MOUTH])
        * _ramp(in_frame(framing, shape), 0.5, 1)
    )


def sharpness(mouth: Grey) -> float:
    """Variance of the Laplacian (Pech-Pacheco et al., ICPR 2000) over variance: contrast cancels out.

    Taken at half the size, where sensor noise has averaged out and lips have not.  The crop has a fixed size:
    a small face magnified into it counts as blurred as it looks.
    """
    half = cv2.resize(mouth, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA).astype(np.float32)
    return float(cv2.Laplacian(half, cv2.CV_32F).var() / (half.var() + 1.0))


def asymmetry(landmarks: Points) -> float:
    """How far the nose is off the middle of the eyes, in eye distances along their line: rises with yaw."""
    eyes = landmarks[LEFT_EYE] - landmarks[RIGHT_EYE]
    distance = float(eyes @ eyes)
    return abs(float((landmarks[NOSE] - eye_centre(landmarks)) @ eyes)) / distance if distance > 0 else np.inf


def in_frame(framing: Framing, shape: tuple[int, ...]) -> float:
    """Share of the crop that lies inside the picture, on a grid of 8 x 8 points."""
    steps = (np.arange(8) + 0.5) * framing.size / 8
    x, y = framing.outside(np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)).T
    return float(((x >= 0) & (x < shape[1]) & (y >= 0) & (y < shape[0])).mean())


def _ramp(value: float, zero: float, one: float) -> float:
    return float(np.clip((value - zero) / (one - zero), 0, 1))
