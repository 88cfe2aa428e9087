"""What the face expert gets right on pictures it never saw, in good light and with half the face dark."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.sentiment.emotions import EMOTIONS, softmax
from engines.sentiment.face.augment import shade
from engines.sentiment.face.model import FaceExpert, one_sided
from engines.sentiment.face.pictures import Pictures, enlarged
from engines.sentiment.measures import (
    calibration_error,
    confusion,
    fitted_caution,
    unweighted_average_recall,
)
from engines.speech.augment import uniform
from nodes.runtime.messages import FACE_SIZE

# The share of its light that half of each face keeps.
DARK = {"half at 30 % of its light": 0.3, "half at 10 %": 0.1, "half at 3 %": 0.03}
_BATCH = 256


@dataclass(frozen=True)
class Answers:
    """logits float32 [n, 7], the right emotion int64 [n]."""

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Figures:
    accuracy: float
    uar: float
    confidence: float

    def line(self) -> str:
        return f"accuracy {self.accuracy:.1%}, UAR {self.uar:.1%}, mean confidence {self.confidence:.2f}"


@torch.no_grad()
def answers(network: FaceExpert, pictures: Pictures, device: torch.device, dark: float = 1.0) -> Answers:
    """dark: the share of its light that one half of each face keeps, left or right by turns."""
    rows = []
    faces = torch.from_numpy(enlarged(pictures.images, FACE_SIZE)).to(device)
    for part in faces.split(_BATCH):
        if dark < 1:
            part = half_dark(part, dark)
        rows.append(network(part)["logits"])
    return Answers(torch.cat(rows).float().cpu().numpy(), pictures.labels)


def half_dark(faces: Tensor, depth: float) -> Tensor:
    """uint8 [B, S, S] with the left and the right half, by turns, at ``depth`` of its light."""
    one = torch.ones(len(faces), 1, 1, device=faces.device)
    side = torch.arange(len(faces), device=faces.device).remainder(2).view(-1, 1, 1) * torch.pi
    return shade(faces.float(), depth * one, side, 0 * one, 0.05 * one).round().to(torch.uint8)


def figures(given: Answers, temperature: float = 1.0) -> Figures:
    """confidence: of the likeliest emotion, the logits divided by ``temperature``."""
    found = given.logits.argmax(-1)
    return Figures(
        float((found == given.labels).mean()),
        unweighted_average_recall(given.labels, found),
        float(softmax(given.logits, temperature).max(-1).mean()),
    )


@dataclass(frozen=True)
class Table:
    """rows: a Markdown table.  temperature: set by what was kept to choose by.

    error: calibration on the test pictures before and after.  confusion: int64 [7, 7] of the test pictures.
    """

    rows: list[str]
    temperature: float
    error: tuple[float, float]
    confusion: NDArray[np.int64]


@torch.no_grad()
def calibrate(network: FaceExpert, kept: Pictures) -> float:
    """Sets how much less the network believes of a face lit from one side; returns the temperature.

    By ``kept`` as they are, and twice with a lamp beside them.
    """
    network.caution.zero_()
    device = next(network.parameters()).device
    generator = torch.Generator(device).manual_seed(6)
    plain = torch.from_numpy(enlarged(kept.images, FACE_SIZE)).to(device)
    faces = torch.cat([plain.float(), *(beside_a_lamp(plain, generator) for _ in range(2))])
    parts = faces.split(_BATCH)
    logits = torch.cat([network(part)["logits"] for part in parts]).float().cpu().numpy()
    aside = one_sided(faces)[:, None].cpu().numpy()
    warmth, caution = fitted_caution(logits, aside, np.tile(kept.labels, 3))
    network.caution.fill_(float(caution))
    return float(np.exp(warmth))


def beside_a_lamp(faces: Tensor, generator: torch.Generator) -> Tensor:
    """uint8 [B, S, S] lit from the left or the right; the other side keeps 2 to 100 % of its light."""
    b = len(faces)

    def draw(low: float, high: float) -> Tensor:
        return uniform((b, 1, 1), low, high, generator)

    side = torch.pi * (draw(0, 1) < 0.5) + draw(-0.5, 0.5)
    depth = draw(math.log(0.02), 0).exp()
    return shade(faces.float(), depth, side, draw(-0.3, 0.3), draw(0.03, 0.2)).round()


def conditions(network: FaceExpert, learnt: Pictures, kept: Pictures, tested: Pictures) -> Table:
    device = next(network.parameters()).device
    temperature = calibrate(network, kept)
    chosen_by = answers(network, kept, device)
    clean = answers(network, tested, device)
    twins = {image.tobytes() for pictures in (learnt, kept) for image in pictures.images}
    alone = np.array([image.tobytes() not in twins for image in tested.images])
    given = {
        "PublicTest": clean,
        f"of these, the {alone.sum():,} that are no copy of a training picture": Answers(
            clean.logits[alone], clean.labels[alone]
        ),
        "kept to choose by": chosen_by,
        **{f"PublicTest, {name}": answers(network, tested, device, dark) for name, dark in DARK.items()},
    }
    rows = ["| pictures | accuracy | 95 % interval | UAR | mean confidence |", "|---|---|---|---|---|"]
    for name, answered in given.items():
        seen, (low, high) = figures(answered, temperature), interval(answered)
        rows.append(
            f"| {name} | {seen.accuracy:.1%} | {low:.1%} to {high:.1%} "
            f"| {seen.uar:.1%} | {seen.confidence:.2f} |"
        )
    return Table(
        rows,
        temperature,
        (
            calibration_error(clean.logits, clean.labels),
            calibration_error(clean.logits, clean.labels, temperature),
        ),
        confusion(clean.labels, clean.logits.argmax(-1), len(EMOTIONS)),
    )


def interval(given: Answers, rounds: int = 1000) -> tuple[float, float]:
    """95 % of the accuracy, percentile bootstrap over pictures."""
    right, rng = given.logits.argmax(-1) == given.labels, np.random.default_rng(0)
    means = rng.binomial(len(right), right.mean(), rounds) / len(right)  # resampling zeros and ones
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
