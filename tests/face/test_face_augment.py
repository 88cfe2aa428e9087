"""Training samples: the points stay on the face whatever is done to the picture."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.face.augment import SHIFT, misframed, sample
from engines.face.faces import Faces, mirrored
from engines.speech.recordings import grid_split
from nodes.perception.crop import LEFT_EYE, RIGHT_EYE, face_framing

POINTS = np.array([[60, 70], [130, 70], [95, 110], [68, 140], [122, 140]], np.float32)
NAMES = {"bbal8p": True, "bbbf8p": True, "bbaf2n": False, "bbaf4p": False}


def drawn():
    """A face of five dots, each of its own brightness, on grey."""
    image = np.full((192, 192), 60, np.uint8)
    for (x, y), shade in zip(POINTS, (255, 220, 190, 160, 130), strict=True):
        cv2.circle(image, (int(x), int(y)), 7, shade, -1)
    return image


def faces(count=1):
    return Faces(
        [drawn()] * count, np.repeat(POINTS[None], count, 0), ["a/b"] * count, np.zeros((0, 64, 64), np.uint8)
    )


def test_the_points_are_on_the_dots_of_a_badly_framed_face():
    rng = np.random.default_rng(1)
    for _ in range(50):
        framing = misframed(
            POINTS, rng.uniform(-SHIFT, SHIFT, 2), rng.uniform(0.8, 1.25), rng.uniform(-0.6, 0.6)
        )
        crop = framing.cut(drawn())
        for (x, y), shade in zip(framing.inside(POINTS), (255, 220, 190, 160, 130), strict=True):
            if 1 < x < 62 and 1 < y < 62:
                assert crop[round(y), round(x)] == pytest.approx(shade, abs=6)


def test_a_mirrored_face_has_its_right_eye_on_the_right_side():
    image, points = mirrored(drawn(), POINTS)
    assert points[RIGHT_EYE, 0] < points[LEFT_EYE, 0], "as they are ordered in the picture"
    for (x, y), shade in zip(points, (220, 255, 190, 130, 160), strict=True):
        assert image[round(y), round(x)] == shade


def test_a_sample_is_the_same_whenever_it_is_drawn():
    one, other = (sample(faces(), 0, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one.image, other.image)
    assert np.array_equal(one.points, other.points)


def test_samples_hold_faces_no_faces_and_covered_ones():
    rng = np.random.default_rng(0)
    drawn_samples = [sample(faces(), 0, rng) for _ in range(400)]
    present = [s for s in drawn_samples if s.presence]
    assert 0.7 < len(present) / 400 < 0.9
    hidden = np.mean([~s.visible for s in present])
    assert 0.03 < hidden < 0.3
    assert all(not s.visible.any() for s in drawn_samples if not s.presence)
    assert all(s.image.shape == (64, 64) and s.image.dtype == np.uint8 for s in drawn_samples)


def test_visible_points_are_inside_the_crop():
    rng = np.random.default_rng(3)
    for _ in range(200):
        s = sample(faces(), 0, rng)
        assert ((s.points[s.visible] >= 0) & (s.points[s.visible] < 64)).all()


def test_clips_are_split_by_the_checksum_of_their_names():
    # zlib.crc32(name) % 10, written down: a changed split would let training clips into the figures.
    split = {name: grid_split(Path(f"{name}.mp4")) == "validation" for name in NAMES}
    assert split == NAMES


def test_a_framed_face_is_centred_between_eyes_and_mouth():
    inside = face_framing(POINTS).inside(POINTS)
    assert inside[:, 0].mean() == pytest.approx(31.5, abs=0.5)
    assert 14 < inside[0, 1] < 26 < 40 < inside[3, 1] < 54
