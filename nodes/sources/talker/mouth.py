"""How a rendered person's mouth is drawn: lips, teeth and tongue from one row of a mouth track.

Every edge is a curve y(u) over the mouth's width, u from -1 to 1; each pixel's distance to the curves gives
its share of lip, tooth or skin, so the outline moves by fractions of a pixel from picture to picture.
"""

import numpy as np
from numpy.typing import NDArray

from nodes.sources.talker.canvas import CANVAS, CENTRE, UNIT, Plane, bump, encode, noise, over, plane, step
from nodes.sources.talker.face import MOUTH_Y, Portrait
from nodes.sources.talker.visemes import JAW, OPEN, PRESS, ROUND, TEETH, TONGUE, TUCK, WIDE

JAW_DROP = 0.15  # head half-widths that the chin goes down at most


class Mouth:
    """Draws one person's mouth over the canvas."""

    def __init__(self, portrait: Portrait) -> None:
        self._who = portrait.who
        rows = slice(round(CENTRE[1] + (MOUTH_Y - 0.26) * UNIT), round(CENTRE[1] + (MOUTH_Y + 0.46) * UNIT))
        columns = slice(round(CENTRE[0] - 0.56 * UNIT), round(CENTRE[0] + 0.56 * UNIT))
        self._window = (rows, columns)
        x, y = plane(*self._window)
        self._x, self._y = x, y - np.float32(MOUTH_Y)
        self._light = portrait.light[self._window]
        rng = np.random.default_rng(self._who.texture_seed + 2)
        grooves = noise(rng, (8, CANVAS[1]), 4)[4]
        self._grooves = 1 + 0.045 * grooves[columns][None, :]
        # Teeth are 0.062 wide in front, narrower to the sides; dark lines between.
        self._between = np.exp(-((((np.abs(x) / 0.066 + 0.5) % 1 - 0.5) * 0.066 / 0.007) ** 2)) * step(
            0.0, 0.02, np.abs(x) + 1
        )

    def paint(self, canvas: NDArray[np.float32], shape: NDArray[np.float64]) -> None:
        """Draws the mouth of `shape` (8,), a row of `mouth_track`; the canvas's chin is lowered already."""
        who, x, y = self._who, self._x, self._y
        full = who.lip_fullness
        width = who.mouth_width * (1 + 0.17 * shape[WIDE] - 0.34 * shape[ROUND])
        u = np.clip(x / width, -1, 1)
        within = step(1.0, 0.93, np.abs(x) / width)
        arch = np.sqrt(1 - u**2)
        flat = 1 - np.abs(u) ** 2.6

        opening = 0.30 * max(shape[OPEN], 0.0)
        press, tuck, pout = shape[PRESS], shape[TUCK], shape[ROUND]
        # A closed mouth rises a little to its corners; they sink as the jaw opens.
        seam = (-0.018 - 0.012 * shape[WIDE] + 0.05 * shape[JAW]) * u**2 + 0.007 * np.cos(3 * np.pi * u) * (
            1 - u**2
        )
        inner_top = seam - 0.30 * opening * flat
        inner_low = seam + 0.70 * opening * (0.35 * arch + 0.65 * flat) - 0.045 * tuck * flat
        bow = 1 - 0.22 * np.exp(-((u / 0.13) ** 2)) + 0.10 * np.exp(-(((np.abs(u) - 0.28) / 0.16) ** 2))
        top_lip = 0.082 * full * (1 - 0.40 * press) * (1 + 0.15 * pout) * (1 - np.abs(u) ** 1.7) ** 0.8 * bow
        low_lip = (
            0.112
            * full
            * (1 - 0.38 * press - 0.35 * tuck)
            * (1 + 0.12 * pout)
            * (1 - np.abs(u) ** 2.2) ** 0.8
        )
        outer_top, outer_low = inner_top - top_lip, inner_low + low_lip

        edge = 0.009
        region = step(-edge, edge, y - outer_top) * step(-edge, edge, outer_low - y) * within
        cavity = step(-edge, edge, y - inner_top) * step(-edge, edge, inner_low - y) * within

        image = (canvas[self._window] / 255) ** 2.2
        below = np.exp(-(((y - outer_low - 0.035) / 0.035) ** 2)) * np.clip(1 - (x / width) ** 2, 0, 1)
        image = image * (1 - 0.30 * below)[..., None]
        corners = bump(np.abs(x), y, (width, 0.012 + 0.05 * shape[JAW]), (0.035, 0.03))
        image = image * (1 - 0.45 * corners)[..., None]
        image = over(image, self._lips(u, inner_top, inner_low, top_lip, low_lip, pout), region)
        image = over(image, self._inside(inner_top, inner_low, shape, width), cavity)
        closed = np.clip(1 - opening / 0.03, 0, 1)
        line = (
            np.exp(-(((y - seam) / 0.011) ** 2))
            * within
            * (0.55 + 0.25 * closed)
            * step(0.06, 0.0, inner_low - inner_top)
        )
        image = image * (1 - line)[..., None]
        canvas[self._window] = encode(image)

    def _lips(
        self, u: Plane, inner_top: Plane, inner_low: Plane, top_lip: Plane, low_lip: Plane, pout: float
    ) -> Plane:
        y = self._y
        up = np.clip((inner_top - y) / np.maximum(top_lip, 1e-3), 0, 1)  # 0 at the mouth, 1 at the skin
        down = np.clip((y - inner_low) / np.maximum(low_lip, 1e-3), 0, 1)
        upper = y < (inner_top + inner_low) / 2
        shade = np.where(
            upper, 0.62 + 0.26 * up, 0.80 + 0.34 * np.exp(-(((down - 0.38) / 0.30) ** 2)) - 0.22 * down**3
        )
        shine = np.where(
            upper, 0, np.exp(-(((down - 0.36) / 0.16) ** 2)) * np.exp(-((np.abs(u) - 0.22) ** 2) / 0.05)
        )
        lips = np.array(self._who.lip, np.float32) * (shade * self._grooves * self._light * 1.12)[..., None]
        return np.asarray(lips + ((0.055 + 0.03 * pout) * shine)[..., None], np.float32)

    def _inside(self, inner_top: Plane, inner_low: Plane, shape: NDArray[np.float64], width: float) -> Plane:
        x, y = self._x, self._y
        depth = np.clip((y - inner_top) / 0.16, 0, 1)
        inside = np.array((0.10, 0.022, 0.020), np.float32) * (0.25 + 0.55 * depth)[..., None]
        falloff = np.clip(1.05 - (x / (0.95 * width)) ** 2, 0.12, 1)

        tongue_at = 0.21 - 0.17 * shape[TONGUE]
        tongue = step(0.0, 0.05, y - tongue_at - 0.10 * (x / width) ** 2) * step(0.8, 0.55, np.abs(x) / width)
        flesh = (
            np.array((0.34, 0.11, 0.10), np.float32)
            * (0.55 + 0.6 * np.clip((y - tongue_at) / 0.12, 0, 1))[..., None]
        )
        inside = over(inside, flesh * falloff[..., None], tongue * 0.9)

        enamel = np.array((0.54, 0.49, 0.41), np.float32) * (falloff * (1 - 0.35 * self._between))[..., None]
        roots = -0.055 - 0.02 * shape[TEETH]  # the upper teeth stay with the skull
        tips = (
            roots
            + 0.092
            - 0.03 * (x / 0.3) ** 2
            - 0.006 * np.abs(np.abs(x) - 0.033) / 0.033 * (np.abs(x) < 0.07)
        )
        upper = step(0.012, -0.004, y - tips) * (0.55 + 0.45 * np.clip((y - inner_top) / 0.03, 0, 1))
        inside = over(inside, enamel, upper * min(1.0, 0.1 + 1.2 * shape[TEETH]))
        gap = 0.05 + 0.20 * shape[JAW]  # the lower teeth go down with the jaw
        lower = step(-0.006, 0.012, y - gap + 0.02 + 0.05 * (x / 0.3) ** 2)
        return over(
            inside,
            enamel * 0.55,
            lower * min(1.0, 1.1 * shape[TEETH]) * step(0.0, 0.05, inner_low - y + 0.03),
        )
