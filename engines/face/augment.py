"""One training sample out of one face: framed, lit, blurred and covered as badly as it happens live."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.face.faces import Faces, decode, mirrored
from engines.face.model import CROP
from nodes.perception.crop import Framing, Grey, Points, face_framing

# How far off a detector's box or the last picture's landmarks may be and the crop still count as framing the
# face.
SHIFT, SCALE, TURN = 0.20, 1.35, 0.6  # sides of the crop, factor, radians


Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Sample:
    """image: uint8 [64, 64].  points: float32 [5, 2] in its pixels, meaningless without presence.

    visible: bool [5].
    """

    image: Grey
    points: Points
    presence: bool
    visible: Mask


def sample(faces: Faces, index: int, rng: np.random.Generator) -> Sample:
    """Face ``index`` framed at random; one in five is no face at all, or one that the crop does not frame."""
    if rng.random() < 0.2:
        image = degrade(_no_face(faces, index, rng), rng)
        return Sample(image, np.zeros((5, 2), np.float32), False, np.zeros(5, bool))
    image, points = faces.images[index], faces.points[index]
    if rng.random() < 0.5:
        image, points = mirrored(image, points)
    # Mostly near the frame, where tracking keeps it; sometimes as far off as a detector's first box.
    spread = rng.choice([0.3, 1.0], p=[0.4, 0.6])
    offset = spread * SHIFT * rng.uniform(-1, 1, 2)
    zoom = SCALE ** (spread * rng.uniform(-1, 1))
    framing = misframed(points, offset, zoom, spread * TURN * rng.uniform(-1, 1))
    image, points = framing.cut(image), framing.inside(points)
    visible: Mask = np.all((points >= 0) & (points < CROP), axis=1)
    if rng.random() < 0.15:
        image, visible = _cut_off(image, points, visible, rng)
    if rng.random() < 0.35:
        image, visible = _cover(image, points, visible, faces, rng)
    return Sample(degrade(image, rng), points, True, visible)


def misframed(points: Points, offset: NDArray[Any], zoom: float, turn: float) -> Framing:
    """The framing of a face as it should be, moved by ``offset`` sides, magnified by ``zoom`` and turned."""
    right = face_framing(points)
    centre = right.centre + offset * CROP / (right.scale * zoom)
    return Framing(centre, right.scale * zoom, right.angle + turn, CROP)


def degrade(image: Grey, rng: np.random.Generator) -> Grey:
    """Light, focus, resolution, noise and compression, each at random."""
    x: Grey = image.astype(np.float32)
    if rng.random() < 0.5:  # light from one side
        ramp = np.linspace(-1, 1, CROP)
        angle = rng.uniform(0, 2 * np.pi)
        x *= np.exp(rng.uniform(0, 0.8) * (np.cos(angle) * ramp[None] + np.sin(angle) * ramp[:, None]))
    x = 255 * (np.clip(x, 0, 255) / 255) ** np.exp(rng.uniform(-0.7, 0.7))
    x = np.clip(rng.uniform(0.25, 1.2) * (x - 128) + 128 + rng.uniform(-60, 60), 0, 255)
    if rng.random() < 0.3:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.3, 1.8))
    if rng.random() < 0.15:  # the head moved while the shutter was open
        length = int(rng.integers(2, 7))
        kernel = np.ones((1, length), np.float32) / length
        x = cv2.filter2D(x, -1, kernel if rng.random() < 0.7 else kernel.T)
    if rng.random() < 0.2:
        size = int(rng.integers(20, 56))
        x = cv2.resize(cv2.resize(x, (size, size), interpolation=cv2.INTER_AREA), (CROP, CROP))
    if rng.random() < 0.5:
        x = x + rng.uniform(1, 14) * rng.standard_normal(x.shape)
    y: Grey = np.clip(x, 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        quality = int(rng.integers(15, 90))
        y = decode(cv2.imencode(".jpg", y, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])
    return y


def _no_face(faces: Faces, index: int, rng: np.random.Generator) -> Grey:
    kind = rng.integers(5)
    image, points = faces.images[index], faces.points[index]
    if kind == 0 and len(faces.backgrounds):
        background = faces.backgrounds[rng.integers(len(faces.backgrounds))]
        size = int(rng.integers(24, 65))
        x, y = rng.integers(0, 65 - size, 2)
        return cv2.resize(background[y : y + size, x : x + size], (CROP, CROP))
    if kind == 1:  # a face at the crop's edge
        angle = rng.uniform(0, 2 * np.pi)
        offset = rng.uniform(0.55, 0.9) * np.array([np.cos(angle), np.sin(angle)])
        return misframed(points, offset, 1.0, rng.uniform(-TURN, TURN)).cut(image)
    if kind == 2:  # far too near or too small
        zoom = rng.uniform(2.5, 4) if rng.random() < 0.6 else rng.uniform(0.25, 0.38)
        return misframed(points, rng.uniform(-0.3, 0.3, 2), zoom, rng.uniform(-TURN, TURN)).cut(image)
    if kind == 3:  # the parts of a face in no order
        whole = face_framing(points).cut(image)
        n = int(rng.choice([2, 4]))
        size = CROP // n
        parts = whole.reshape(n, size, n, size).swapaxes(1, 2).reshape(n * n, size, size)
        # Turned around as well: with four parts, chance would leave some of a face standing.
        parts = np.stack([np.rot90(part, int(rng.integers(1, 4))) for part in parts[rng.permutation(n * n)]])
        return np.ascontiguousarray(parts.reshape(n, n, size, size).swapaxes(1, 2).reshape(CROP, CROP))
    return _texture(rng)


def _texture(rng: np.random.Generator) -> Grey:
    """Clouds, bars and shapes."""
    cells = int(rng.integers(2, 33))
    x = cv2.resize(
        rng.uniform(0, 255, (cells, cells)).astype(np.float32), (CROP, CROP), interpolation=cv2.INTER_CUBIC
    )
    for _ in range(rng.integers(0, 5)):
        a, b = rng.integers(0, CROP, 2), rng.integers(4, 40, 2)
        shade = float(rng.uniform(0, 255))
        if rng.random() < 0.5:
            cv2.ellipse(x, a.tolist(), b.tolist(), float(rng.uniform(0, 180)), 0, 360, shade, -1)
        else:
            cv2.rectangle(x, a.tolist(), (a + b).tolist(), shade, -1)
    return np.clip(x, 0, 255).astype(np.uint8)


def _cut_off(image: Grey, points: Points, visible: Mask, rng: np.random.Generator) -> tuple[Grey, Mask]:
    """The picture ends inside the crop, and its edge is repeated, as ``Framing.cut`` does."""
    turns = int(rng.integers(4))
    turned = np.rot90(image, turns).copy()
    row = int(rng.integers(CROP // 2, CROP - 4))
    turned[row + 1 :] = turned[row]
    inside = np.rot90(np.arange(CROP)[:, None].repeat(CROP, 1) <= row, -turns)
    return np.ascontiguousarray(np.rot90(turned, -turns)), visible & _lookup(inside, points)


def _cover(
    image: Grey, points: Points, visible: Mask, faces: Faces, rng: np.random.Generator
) -> tuple[Grey, Mask]:
    """A hand, a cup, a microphone: a shape of one shade or of some other picture over part of the face."""
    mask = np.zeros((CROP, CROP), np.uint8)
    centre = rng.integers(6, CROP - 6, 2).tolist()
    axes = rng.integers(6, 20, 2).tolist()
    if rng.random() < 0.5:
        cv2.ellipse(mask, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    else:
        box = cv2.boxPoints((centre, (2 * axes[0], 2 * axes[1]), float(rng.uniform(0, 90))))
        cv2.fillPoly(mask, [box.astype(np.int32)], 1)
    kind = rng.random()
    if kind < 0.4:
        filling: Grey = np.full((CROP, CROP), rng.integers(0, 256), np.uint8)
    elif kind < 0.7:
        filling = _texture(rng)
    else:
        other = faces.images[rng.integers(len(faces.images))]
        filling = cv2.resize(np.rot90(other, 2), (CROP, CROP))
    return np.where(mask, filling, image).astype(np.uint8), visible & ~_lookup(mask.astype(bool), points)


def _lookup(mask: Mask, points: Points) -> Mask:
    """``mask`` at each point; at the nearest pixel for those outside."""
    x, y = np.clip(np.round(points), 0, CROP - 1).astype(int).T
    return mask[y, x]
