"""What a rendered person looks like: drawn at random, so that no two talkers share a face."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Colour = tuple[float, float, float]
Hair = Literal["short", "long", "bob", "shaved"]

# Linear-light reflectances (red, green, blue), from very light to very dark skin.
_SKINS: tuple[Colour, ...] = (
    (0.80, 0.56, 0.44),
    (0.72, 0.47, 0.35),
    (0.60, 0.36, 0.25),
    (0.46, 0.26, 0.17),
    (0.31, 0.16, 0.10),
    (0.18, 0.09, 0.055),
)
_HAIRS: tuple[Colour, ...] = (
    (0.020, 0.016, 0.014),
    (0.050, 0.030, 0.020),
    (0.110, 0.062, 0.035),
    (0.200, 0.085, 0.040),
    (0.400, 0.270, 0.130),
    (0.330, 0.320, 0.310),
)
_IRISES: tuple[Colour, ...] = ((0.08, 0.04, 0.02), (0.14, 0.08, 0.03), (0.10, 0.18, 0.26), (0.10, 0.16, 0.08))


@dataclass(frozen=True)
class Identity:
    """Lengths are in head half-widths, colours in linear light from 0 to 1, angles in radians."""

    skin: Colour
    lip: Colour
    hair: Colour
    iris: Colour
    shirt: Colour
    wall: Colour
    style: Hair
    stubble: float
    face_width: float
    jaw_taper: float
    chin: float
    eye_spacing: float
    eye_size: float
    brow_weight: float
    brow_arch: float
    nose_width: float
    nose_length: float
    mouth_width: float
    lip_fullness: float
    freckles: float
    light_angle: float
    light_strength: float
    texture_seed: int


def random_identity(rng: np.random.Generator) -> Identity:
    """Someone else for every draw."""
    tone = rng.uniform(0, len(_SKINS) - 1)
    low = int(min(tone, len(_SKINS) - 2))
    skin = np.array(_SKINS[low]) * (1 - tone + low) + np.array(_SKINS[low + 1]) * (tone - low)
    skin = skin * rng.uniform(0.93, 1.07, 3)
    lip = skin * rng.uniform((0.86, 0.50, 0.55), (1.02, 0.68, 0.74))
    feminine = bool(rng.random() < 0.5)
    style = str(rng.choice(("long", "bob", "short") if feminine else ("short", "short", "shaved")))
    # Light hair goes with light skin.
    hair = np.array(_HAIRS[rng.integers(0, 6 if tone < 2 else 3)]) * rng.uniform(0.8, 1.2)
    return Identity(
        skin=_colour(skin),
        lip=_colour(lip * (np.array((1.05, 0.8, 0.85)) if feminine else 1.0)),
        hair=_colour(hair),
        iris=_colour(np.array(_IRISES[rng.integers(0, 4 if tone < 2 else 2)]) * rng.uniform(0.8, 1.25)),
        shirt=_colour(rng.uniform(0.03, 0.5, 3)),
        wall=_colour(rng.uniform(0.12, 0.5) * rng.uniform(0.8, 1.2, 3)),
        style=style,  # type: ignore[arg-type]
        stubble=0.0 if feminine else float(rng.uniform(0, 0.5)),
        face_width=float(rng.uniform(0.92, 1.06)),
        jaw_taper=float(rng.uniform(0.30, 0.42) if feminine else rng.uniform(0.22, 0.36)),
        chin=float(rng.uniform(-0.05, 0.06)),
        eye_spacing=float(rng.uniform(0.39, 0.44)),
        eye_size=float(rng.uniform(0.17, 0.205)),
        brow_weight=float(rng.uniform(0.025, 0.045) if feminine else rng.uniform(0.04, 0.062)),
        brow_arch=float(rng.uniform(0.04, 0.09) if feminine else rng.uniform(0.01, 0.06)),
        nose_width=float(rng.uniform(0.85, 1.25)),
        nose_length=float(rng.uniform(-0.04, 0.05)),
        mouth_width=float(rng.uniform(0.30, 0.37)),
        lip_fullness=float(rng.uniform(0.8, 1.3)),
        freckles=float(rng.uniform(0, 1) ** 3),
        light_angle=float(rng.uniform(-0.9, 0.9)),
        light_strength=float(rng.uniform(0.75, 1.0)),
        texture_seed=int(rng.integers(2**31)),
    )


def _colour(values: np.ndarray) -> Colour:
    red, green, blue = np.clip(values, 0.005, 0.9).tolist()
    return red, green, blue
