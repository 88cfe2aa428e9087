"""How far the network's points lie from the teacher's, and how often it is wrong about there being a face."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engines.face.augment import SCALE, SHIFT, misframed, sample
from engines.face.faces import Faces, mirrored, open_teacher, opinion
from engines.face.model import LandmarkNet
from nodes.perception.crop import LEFT_EYE, RIGHT_EYE, Framing, Grey, Points, face_framing, roll

_BATCH = 256
_FAILED = 0.10


@dataclass(frozen=True)
class Figure:
    """A mean and its 95 % confidence interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.2f} [{self.low:.2f}, {self.high:.2f}]"


def bootstrap(values: NDArray[Any], groups: list[str], rounds: int = 1000) -> Figure:
    """Mean of ``values`` and the percentile bootstrap over ``groups``: pictures of a clip go together."""
    names = {name: i for i, name in enumerate(dict.fromkeys(groups))}
    member = np.array([names[group] for group in groups])
    sums, counts = np.bincount(member, values, len(names)), np.bincount(member, minlength=len(names))
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, len(names), (rounds, len(names)))
    means = sums[chosen].sum(axis=1) / counts[chosen].sum(axis=1)
    return Figure(float(values.mean()), *(float(v) for v in np.percentile(means, [2.5, 97.5])))


def predict(net: LandmarkNet, images: list[Grey]) -> tuple[Points, NDArray[np.float32], NDArray[np.float32]]:
    """Points float32 [n, 5, 2], presence and visibility as probabilities [n] and [n, 5]."""
    net.eval()
    results: list[tuple[torch.Tensor, ...]] = []
    with torch.inference_mode():
        for i in range(0, len(images), _BATCH):
            points, presence, visible = net(torch.from_numpy(np.stack(images[i : i + _BATCH])))
            results.append((points, presence.sigmoid(), visible.sigmoid()))
    points, presence, visible = (torch.cat(part).numpy() for part in zip(*results, strict=True))
    return points, presence, visible


def landmark_figures(net: LandmarkNet, faces: Faces) -> dict[str, Figure]:
    """Errors in percent of the distance between the eyes, in crops as loose as a detector's boxes.

    ``second look``: the crop framed anew by the first answer, as tracking does.  ``mean face``: the error of
    always answering the average points, for scale.  ``failed``: share of faces with an error over 10 percent.
    """
    rng = np.random.default_rng(0)
    framings = [_detected(points, rng) for points in faces.points]
    first = predict(net, [f.cut(image) for f, image in zip(framings, faces.images, strict=True)])[0]
    found = np.array([f.outside(points) for f, points in zip(framings, first, strict=True)])
    framings_again = [face_framing(points) for points in found]
    second = predict(net, [f.cut(image) for f, image in zip(framings_again, faces.images, strict=True)])[0]
    found_again = np.array([f.outside(points) for f, points in zip(framings_again, second, strict=True)])
    inside = np.array([f.inside(points) for f, points in zip(framings, faces.points, strict=True)])
    average = np.array([f.outside(inside.mean(axis=0)) for f in framings])
    looks = {"first look": _error(found, faces.points), "second look": _error(found_again, faces.points)}
    figures = {name: bootstrap(100 * error, faces.groups) for name, error in looks.items()}
    figures["failed"] = bootstrap(100.0 * (looks["second look"] > _FAILED), faces.groups)
    figures["mean face"] = bootstrap(100 * _error(average, faces.points), faces.groups)
    return figures


def teacher_figure(faces: Faces) -> Figure:
    """How far the teacher is from itself when shown the same faces in a mirror: how exact labels are."""
    teacher, found, wanted, groups = open_teacher(), [], [], []
    for image, points, group in zip(faces.images, faces.points, faces.groups, strict=True):
        reflection, expected = mirrored(image, points)
        again = opinion(teacher, reflection)
        if again is not None:
            found.append(again)
            wanted.append(expected)
            groups.append(group)
    return bootstrap(100 * _error(np.array(found), np.array(wanted)), groups)


def presence_figures(net: LandmarkNet, faces: Faces) -> dict[str, Figure]:
    """Percent wrong at one half, on samples degraded, covered and badly framed as in training.

    ``covered taken for seen`` and ``seen taken for covered`` are of single points of faces.
    """
    rng = np.random.default_rng(0)
    samples = [sample(faces, i, rng) for i in range(len(faces.images))]
    _, presence, visible = predict(net, [s.image for s in samples])
    is_face = np.array([s.presence for s in samples])
    seen = np.array([s.visible for s in samples])
    groups = np.array(faces.groups)
    wrong_point = (visible > 0.5) != seen

    def percent(wrong: NDArray[np.bool_], where: NDArray[np.bool_]) -> Figure:
        rows = np.nonzero(where)[0]
        return bootstrap(100.0 * wrong[where], list(groups[rows]))

    return {
        "faces missed": percent(presence <= 0.5, is_face),
        "no face taken for one": percent(presence > 0.5, ~is_face),
        "covered taken for seen": percent(wrong_point, is_face[:, None] & ~seen),
        "seen taken for covered": percent(wrong_point, is_face[:, None] & seen),
    }


def _detected(points: Points, rng: np.random.Generator) -> Framing:
    """A detector's box: near, not level, since the head's lean is not known before the first look."""
    offset, zoom = rng.normal(0, SHIFT / 3, 2), SCALE ** rng.normal(0, 1 / 3)
    return misframed(points, offset, zoom, rng.normal(0, 0.05) - roll(points))


def _error(found: Points, wanted: Points) -> NDArray[Any]:
    """Mean distance of the five points over the distance between the eyes, for each face."""
    eyes = np.linalg.norm(wanted[:, LEFT_EYE] - wanted[:, RIGHT_EYE], axis=1)
    return np.linalg.norm(found - wanted, axis=2).mean(axis=1) / np.maximum(eyes, 1e-6)
