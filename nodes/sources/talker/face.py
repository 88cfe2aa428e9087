"""How a person's head is drawn: a height map lit from one side, painted once, then moved and blinked cheaply.

All lengths are in head half-widths; see canvas.py.
"""

import cv2
import numpy as np

from nodes.sources.talker.canvas import CANVAS, UNIT, Plane, bump, encode, noise, over, plane, step
from nodes.sources.talker.identity import Identity

EYE_Y, MOUTH_Y, CHIN_Y = -0.13, 0.76, 1.30


class Portrait:
    """One person's still picture, before mouth, eyelids and motion.

    image: float32 (576, 720, 3) display values, RGB; light: (576, 720), how much light falls on the skin;
    depth: (576, 720), how far the skin stands out towards the viewer.
    """

    def __init__(self, who: Identity) -> None:
        self.who = who
        rng = np.random.default_rng(who.texture_seed)
        x, y = plane()
        head = self._head_mask(x, y)
        self.depth = self._height(x, y)
        self.light, gloss = self._lighting(self.depth)
        linear = self._wall(x, y, rng)
        hair_behind, hair_front = self._hair_masks(x, y)
        hair = self._hair_colour(x, y, rng)
        linear = over(linear, hair * 0.55, hair_behind)
        linear = self._ears(linear, x, y)
        linear = self._neck_and_shirt(linear, x, y, rng)
        skin = self._skin(x, y, rng) * self.light[..., None] + 0.06 * gloss[..., None]
        linear = over(linear, self._features(skin, x, y, rng), head)
        linear = over(linear, hair * (0.45 + 0.75 * self.light[..., None]), hair_front)
        self.image = encode(linear)

    # --- shape ------------------------------------------------------------

    def half_width(self, y: Plane) -> Plane:
        """The head's outline: from the crown, over the cheekbones, to the chin."""
        who = self.who
        chin = CHIN_Y + who.chin
        crown = np.clip((y + 0.1) / -1.22, 0, 1)
        jaw = np.clip((y + 0.1) / (chin + 0.1), 0, 1)
        upper = np.sqrt(np.clip(1 - crown**2.3, 0, 1))
        lower = (1 - who.jaw_taper * jaw**1.8) * np.clip(1 - jaw**6, 0, 1) ** 0.5
        return np.asarray(0.97 * who.face_width * np.where(y < -0.1, upper, lower), np.float32)

    def _head_mask(self, x: Plane, y: Plane) -> Plane:
        mask = (np.abs(x) < self.half_width(y)).astype(np.float32)
        return cv2.GaussianBlur(mask, (0, 0), 1.6)

    def _height(self, x: Plane, y: Plane) -> Plane:
        who = self.who
        across = np.clip(np.abs(x) / (who.face_width * (1 - 0.45 * np.clip(y - 0.1, 0, 1.3) ** 2)), 0, 1)
        down = np.clip(np.abs(y - 0.1) / 1.5, 0, 1)
        z = 0.95 * np.sqrt(1 - 0.985 * across**2.4) * np.sqrt(1 - 0.9 * down**2.6)
        side, apart = np.abs(x), who.eye_spacing
        tip = 0.36 + who.nose_length
        z += 0.035 * bump(side, y, (apart, -0.36), (0.30, 0.10))  # brow ridge
        z -= 0.075 * bump(side, y, (apart - 0.04, EYE_Y - 0.01), (0.21, 0.13))  # eye sockets
        z += 0.045 * bump(side, y, (apart, EYE_Y), (0.14, 0.09))  # eyeballs
        z += 0.055 * bump(side, y, (0.60, 0.20), (0.24, 0.20))  # cheekbones
        bridge = np.clip((y - EYE_Y + 0.08) / (tip - EYE_Y + 0.08), 0, 1)
        below = step(tip + 0.03, tip + 0.16, y)
        wide = (0.075 + 0.055 * bridge) * who.nose_width
        z += (0.05 + 0.21 * bridge**1.3) * np.exp(-((x / wide) ** 2)) * (1 - below) * step(-0.42, 0.05, y)
        z += 0.07 * bump(x, y, (0, tip), (0.10 * who.nose_width, 0.08))
        z += 0.085 * bump(side, y, (0.135 * who.nose_width, tip + 0.06), (0.06, 0.065))  # wings of the nose
        z += 0.07 * bump(x, y, (0, MOUTH_Y), (0.36, 0.24))  # muzzle
        z -= 0.016 * bump(x, y, (0, 0.60), (0.035, 0.07))  # philtrum
        z -= 0.03 * bump(x, y, (0, MOUTH_Y + 0.22), (0.26, 0.06))
        z += 0.05 * bump(x, y, (0, CHIN_Y - 0.17), (0.2, 0.13))
        fold = np.abs((side - 0.20) * 0.8 - (y - 0.42) * 0.55)  # from the nose's wing past the mouth's corner
        z -= 0.012 * np.exp(-((fold / 0.045) ** 2)) * step(0.36, 0.5, y) * (1 - step(0.66, 0.85, y))
        return cv2.GaussianBlur(np.asarray(z, np.float32), (0, 0), 2.5)

    def _lighting(self, z: Plane) -> tuple[Plane, Plane]:
        """(diffuse light, gloss) of the height map: a key light, a fill and the sky."""
        dx = cv2.Sobel(z, cv2.CV_32F, 1, 0, ksize=3) / 8 * UNIT
        dy = cv2.Sobel(z, cv2.CV_32F, 0, 1, ksize=3) / 8 * UNIT
        dx, dy = np.clip(dx, -2.2, 2.2), np.clip(dy, -2.2, 2.2)
        length = np.sqrt(dx**2 + dy**2 + 1)
        angle = self.who.light_angle
        key = np.array([np.sin(angle) * 0.7, -0.45, 0.85])
        key /= np.linalg.norm(key)
        facing = (-dx * key[0] - dy * key[1] + key[2]) / length
        wrapped = np.clip((facing + 0.30) / 1.30, 0, 1)
        sky = np.clip((0.6 - 0.4 * dy / length), 0, 1)
        half = key + np.array([0, 0, 1.0])
        half /= np.linalg.norm(half)
        gloss = np.clip((-dx * half[0] - dy * half[1] + half[2]) / length, 0, 1) ** 28
        light = self.who.light_strength * (0.86 * wrapped + 0.30 * sky)
        return np.asarray(light, np.float32), np.asarray(gloss, np.float32)

    # --- colour ------------------------------------------------------------

    def _skin(self, x: Plane, y: Plane, rng: np.random.Generator) -> Plane:
        who, side = self.who, np.abs(x)
        blood = 0.5 * bump(side, y, (0.55, 0.32), (0.26, 0.22)) + 0.5 * bump(x, y, (0, 0.36), (0.16, 0.14))
        blood = blood + 0.06 * noise(rng, CANVAS, 26)
        tone = 1 + 0.025 * noise(rng, CANVAS, 60) + 0.022 * noise(rng, CANVAS, 3.2)
        spots = np.clip(noise(rng, CANVAS, 5) - 1.5, 0, 1) * bump(side, y, (0.3, 0.2), (0.4, 0.25))
        beard = step(0.45, 0.85, y) * step(0.1, 0.5, side + step(0.85, 1.05, y))
        beard = np.maximum(beard, bump(side, y, (0.12, 0.59), (0.17, 0.05)))
        beard = who.stubble * beard * (0.75 + 0.25 * noise(rng, CANVAS, 2.2))
        skin = np.array(who.skin, np.float32) * tone[..., None]
        skin = skin * (1 - blood[..., None] * np.array((-0.05, 0.20, 0.16), np.float32))
        skin = skin * (1 - who.freckles * spots[..., None] * np.array((0.25, 0.45, 0.5), np.float32))
        hairy = np.array(who.hair, np.float32) * 0.6 + np.array(who.skin, np.float32) * 0.25
        return over(skin, np.broadcast_to(hairy, skin.shape), np.clip(beard, 0, 0.7))

    def _features(self, skin: Plane, x: Plane, y: Plane, rng: np.random.Generator) -> Plane:
        """Shadows that the height map is too coarse for, nostrils and brows."""
        who, side = self.who, np.abs(x)
        tip = 0.36 + who.nose_length
        shade = 1 - 0.42 * bump(x, y, (0, tip + 0.155), (0.17 * who.nose_width, 0.045))
        shade *= 1 - 0.25 * bump(side, y, (who.eye_spacing - 0.17, EYE_Y - 0.02), (0.07, 0.12))
        shade *= 1 - 0.16 * bump(side, y, (who.eye_spacing, EYE_Y + 0.14), (0.16, 0.035))
        shade *= 1 - 0.20 * bump(x, y, (0, MOUTH_Y + 0.235), (0.17, 0.045))
        shade *= 1 - 0.18 * bump(side, y, (0.20 * who.nose_width, tip + 0.06), (0.03, 0.06))
        shade *= 1 - 0.30 * step(0.80, 1.02, side / np.maximum(self.half_width(y), 0.05))
        skin = skin * shade[..., None] ** np.array((0.85, 1.0, 1.0), np.float32)
        nostril = bump(side, y, (0.075 * who.nose_width, tip + 0.115), (0.042, 0.020))
        skin = over(skin, np.array(who.skin, np.float32) * 0.07, np.clip(1.5 * nostril, 0, 0.92))
        along = (side - who.eye_spacing) / 0.27
        ridge = EYE_Y - 0.245 - who.brow_arch * (1 - (along - 0.25) ** 2) + 0.02 * along
        taper = np.clip(1.05 - np.abs(along) ** 3, 0, 1) * np.where(along > 0, 1 - 0.55 * along, 1)
        hairs = 0.72 + 0.28 * noise(rng, CANVAS, 2.6)
        brow = step(-0.012, 0.02, who.brow_weight * taper - np.abs(y - ridge)) * step(1.0, 0.8, np.abs(along))
        brow = brow * np.clip(hairs, 0, 1)
        dark = np.array(who.hair, np.float32) * 0.55 + np.array(who.skin, np.float32) * 0.05
        return over(skin, dark, np.clip(brow * 0.88, 0, 1))

    def _ears(self, linear: Plane, x: Plane, y: Plane) -> Plane:
        if self.who.style in ("long", "bob"):
            return linear
        edge = 0.97 * self.who.face_width
        ear = step(1.15, 0.9, np.sqrt(((np.abs(x) - edge) / 0.13) ** 2 + ((y - 0.06) / 0.27) ** 2))
        hollow = bump(np.abs(x), y, (edge + 0.045, 0.03), (0.04, 0.13))
        colour = np.array(self.who.skin, np.float32) * np.array((1.0, 0.86, 0.84), np.float32)
        return over(linear, colour * (0.55 - 0.3 * hollow[..., None]) * self.who.light_strength, ear)

    def _neck_and_shirt(self, linear: Plane, x: Plane, y: Plane, rng: np.random.Generator) -> Plane:
        side = np.abs(x)
        lean = np.sin(self.who.light_angle) * 0.35
        neck = step(0.02, -0.02, side - 0.56 - 0.35 * np.clip(y - 1.35, 0, 1) ** 2) * step(0.6, 0.62, y)
        under_chin = 1 - 0.62 * np.exp(-(np.clip(y - 1.22, 0, 2) ** 2) / 0.05) * step(0.75, 0.45, side)
        round_neck = np.sqrt(np.clip(1 - (side / 0.72) ** 2, 0, 1)) * (0.75 + lean * x)
        skin = np.array(self.who.skin, np.float32) * (0.72 * under_chin * round_neck)[..., None]
        linear = over(linear, skin * self.who.light_strength, neck)
        shoulder = 1.58 + 0.30 * np.clip(side - 0.45, 0, 3) ** 1.2
        collar = 1.62 + 0.30 * np.sqrt(np.clip(1 - (side / 0.52) ** 2, 0, 1)) - 0.08
        top = np.where(side < 0.52, np.maximum(collar, shoulder), shoulder)
        cloth = step(-0.012, 0.012, y - top)
        weave = 0.72 + 0.05 * noise(rng, CANVAS, 40) + 0.015 * noise(rng, CANVAS, 2) + 0.3 * lean * x
        weave = weave * (1 - 0.35 * np.exp(-(((y - top) / 0.03) ** 2)))
        return over(linear, np.array(self.who.shirt, np.float32) * weave[..., None], cloth)

    def _wall(self, x: Plane, y: Plane, rng: np.random.Generator) -> Plane:
        falloff = 1.12 - 0.055 * (x**2 + 0.8 * y**2) + 0.12 * np.sin(self.who.light_angle) * x
        falloff = falloff + 0.03 * noise(rng, CANVAS, 150)
        return np.asarray(np.array(self.who.wall, np.float32) * falloff[..., None])

    # --- hair ------------------------------------------------------------

    def _hair_masks(self, x: Plane, y: Plane) -> tuple[Plane, Plane]:
        """(behind the head, in front of the forehead)"""
        who, side = self.who, np.abs(x)
        volume = {"shaved": 0.03, "short": 0.12, "bob": 0.17, "long": 0.17}[who.style]
        top = np.sqrt(((y + 0.12) / (1.20 + volume)) ** 2 + (x / (0.985 * who.face_width + volume)) ** 2)
        cap = step(1.012, 0.988, top) * (y < 0.1)
        length = {"shaved": -0.1, "short": 0.0, "bob": 1.05, "long": 1.9}[who.style]
        curtain = 0.985 * who.face_width + volume + 0.06 * np.sin(1.5 * y)
        sides = step(0.02, -0.02, side - curtain) * step(-0.13, -0.11, y) * step(length, length - 0.15, y)
        behind = np.maximum(cap, sides if length > 0 else 0)
        # The hairline: high over the forehead, down past the temples.
        parting = 0.12 * np.sin(who.texture_seed % 7 - 3)
        forehead = -0.86 + 0.30 * (x - parting) ** 2 + 1.1 * np.clip(np.abs(x) - 0.55, 0, 1) ** 1.3
        forehead = forehead + 0.02 * noise(np.random.default_rng(who.texture_seed + 1), CANVAS, 9)
        fringe = step(0.035, -0.035, y - forehead) * cap
        temple = {"shaved": -0.25, "short": 0.02, "bob": 1.0, "long": 1.60}[who.style]
        inner = (
            0.985 * who.face_width - (0.07 if length < 0.5 else 0.13) + 0.10 * np.clip(y + 0.3, -1, 0.5) ** 2
        )
        lock = step(-0.015, 0.02, side - inner) * step(-0.6, -0.5, y) * step(temple, temple - 0.12, y)
        front = np.clip(np.maximum(fringe, lock * np.maximum(behind, cap)), 0, 1)
        if who.style == "shaved":
            front = front * 0.75
        return cv2.GaussianBlur(behind, (0, 0), 1.5), cv2.GaussianBlur(np.asarray(front), (0, 0), 1.5)

    def _hair_colour(self, x: Plane, y: Plane, rng: np.random.Generator) -> Plane:
        """Strands that run from the parting down the head."""
        along = np.sqrt(x**2 + (y + 1.15) ** 2)
        around = np.arctan2(x, y + 1.25)
        texture = cv2.GaussianBlur(
            rng.standard_normal((64, 1024)).astype(np.float32), (0, 0), sigmaX=1.1, sigmaY=6
        )
        texture = texture / texture.std()
        u = np.asarray((around / (2 * np.pi) + 0.5) * 1023, np.float32)
        strands = cv2.remap(texture, u, np.asarray(along * 20 % 63, np.float32), cv2.INTER_LINEAR)
        shine = np.exp(-(((y + 1.0 - 0.25 * x**2) / 0.16) ** 2))
        colour = np.array(self.who.hair, np.float32) * (1 + 0.20 * strands * step(0.1, 0.4, along))[..., None]
        return np.asarray(
            np.clip(colour * (1 + 0.9 * shine[..., None]), 0, 1)
            + (0.012 * shine * (1 + 0.5 * strands))[..., None],
            np.float32,
        )
