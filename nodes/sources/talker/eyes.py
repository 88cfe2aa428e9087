"""How a rendered person's eyes are drawn and blink."""

import numpy as np

from nodes.sources.talker.canvas import CENTRE, UNIT, Plane, bump, encode, over, plane, step
from nodes.sources.talker.face import EYE_Y, Portrait

_LEVELS = 5  # of a blink, from open to closed


class Eyes:
    """Both eyes' windows of the canvas at every stage of a blink, drawn once."""

    def __init__(self, portrait: Portrait) -> None:
        top, bottom = _pixel(EYE_Y - 0.22, 1), _pixel(EYE_Y + 0.20, 1)
        reach = portrait.who.eye_spacing + 0.34
        self._window = (slice(top, bottom), slice(_pixel(-reach, 0), _pixel(reach, 0)))
        self._stages = [_draw(portrait, self._window, level / (_LEVELS - 1)) for level in range(_LEVELS)]

    def paint(self, canvas: Plane, blink: float) -> None:
        """Puts the eyes on the canvas; `blink` from 0 (open) to 1 (closed)."""
        canvas[self._window] = self._stages[round(np.clip(blink, 0, 1) * (_LEVELS - 1))]


def _pixel(position: float, axis: int) -> int:
    return round(CENTRE[axis] + position * UNIT)


def _draw(portrait: Portrait, window: tuple[slice, slice], blink: float) -> Plane:
    who = portrait.who
    x, y = plane(*window)
    light = portrait.light[window][..., None]
    image = (portrait.image[window] / 255) ** 2.2
    size = who.eye_size
    side = np.abs(x) - who.eye_spacing  # positive towards the temple
    u = side / size
    arch = np.clip(1 - u**2, 0, 1)
    tilt = -0.012 * u
    lower = EYE_Y + tilt + 0.052 * (size / 0.19) * arch**0.9
    lifted = EYE_Y + tilt - 0.088 * (size / 0.19) * arch**0.62 * (1 - 0.10 * u)
    upper = lifted + (lower - lifted) * blink * 0.96
    inside = step(-0.006, 0.006, y - upper) * step(-0.006, 0.006, lower - y) * step(1.02, 0.98, np.abs(u))

    radius = np.sqrt(side**2 + (y - EYE_Y + 0.014) ** 2)
    ball = np.array((0.62, 0.57, 0.54), np.float32) * (1 - 0.35 * np.clip(np.abs(u), 0, 1)[..., None] ** 2)
    ball = (
        ball * light * (1 - 0.62 * np.exp(-(((y - upper) / 0.035) ** 2)))[..., None]
    )  # the upper lid's shadow
    fibre = 1 + 0.35 * np.sin(np.arctan2(y - EYE_Y, side) * 31) * step(0.03, 0.07, radius)
    iris = np.array(who.iris, np.float32) * (0.6 + 1.2 * step(0.02, 0.08, radius) * fibre)[..., None]
    iris = iris * (1 - 0.75 * step(0.066, 0.086, radius))[..., None] * light * 1.3
    iris = iris * (1 - 0.5 * np.exp(-(((y - upper) / 0.03) ** 2)))[..., None]
    ball = over(ball, iris, step(0.089, 0.081, radius))
    ball = over(ball, np.full(3, 0.006, np.float32), step(0.040, 0.033, radius))
    glint = np.zeros_like(x)
    for centre in (-who.eye_spacing, who.eye_spacing):
        glint = glint + bump(
            x, y, (centre + 0.03 * np.sin(who.light_angle) + 0.012, EYE_Y - 0.045), (0.017, 0.017)
        )
    ball = over(ball, np.full(3, 0.95, np.float32), np.clip(1.3 * glint, 0, 1))
    corner = bump(side, y, (-size * 0.93, EYE_Y + 0.008), (0.035, 0.03))
    ball = over(ball, np.array(who.skin, np.float32) * np.array((0.85, 0.5, 0.5), np.float32), corner * 0.8)

    lid = np.array(who.skin, np.float32) * np.array((0.86, 0.74, 0.72), np.float32) * light
    covered = step(-0.006, 0.006, y - lifted) * step(-0.006, 0.006, upper - y) * step(1.02, 0.98, np.abs(u))
    image = over(image, lid, covered)
    crease = np.exp(-(((y - lifted + 0.052 - 0.018 * u) / 0.013) ** 2)) * step(1.15, 0.7, np.abs(u))
    image = image * (1 - 0.38 * (crease * (1 - 0.6 * blink)))[..., None]
    image = over(image, ball, inside)
    lash = np.exp(-(((y - upper + 0.004) / (0.013 + 0.006 * np.clip(u, -1, 1))) ** 2)) * step(
        1.08, 0.9, np.abs(u)
    )
    image = image * (1 - 0.86 * lash)[..., None]
    rim = np.exp(-(((y - lower - 0.004) / 0.009) ** 2)) * step(1.02, 0.8, np.abs(u))
    image = image * (1 - 0.30 * rim)[..., None]
    return encode(image)
