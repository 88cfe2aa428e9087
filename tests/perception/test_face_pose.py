"""Landmarks and crops hold wherever a face is, however large or leaning; quality tells what hides it."""

import cv2
import numpy as np
import pytest
from faces_of import clip, faces, opened, run, shifted

from nodes.runtime import messages


def test_a_face_in_a_picture_of_four_thousand_pixels():
    images = [cv2.resize(image, (3840, 3072)) for image in clip()[:3]]
    small, large = faces(run(clip()[:3])), faces(run(images))
    assert len(large) == 3
    assert np.abs(large[-1].landmarks * 360 / 3840 - small[-1].landmarks).max() < 2
    assert np.abs(large[-1].mouth.astype(int) - small[-1].mouth).mean() < 6


def test_a_mirrored_picture_mirrors_the_face():
    images = clip()[:25]
    plain = faces(run(images))[-1]
    mirrored = faces(run([np.ascontiguousarray(image[:, ::-1]) for image in images]))[-1]
    expected = plain.landmarks[[1, 0, 2, 4, 3]] * (-1, 1) + (images[0].shape[1] - 1, 0)
    assert np.abs(mirrored.landmarks - expected).max() < 3
    assert np.abs(mirrored.mouth[:, ::-1].astype(int) - plain.mouth).mean() < 8


@pytest.mark.parametrize("angle", [-12, 12])
def test_a_leaning_head_is_set_upright(angle):
    images = clip()[:25]
    turn = cv2.getRotationMatrix2D((180, 170), angle, 1.0)
    leaning = [cv2.warpAffine(i, turn, (360, 288), borderMode=cv2.BORDER_REPLICATE) for i in images]
    upright, levelled = faces(run(images))[-1], faces(run(leaning))[-1]
    eyes = levelled.landmarks[1] - levelled.landmarks[0]
    own = upright.landmarks[1] - upright.landmarks[0]
    lean = np.degrees(np.arctan2(eyes[1], eyes[0]) - np.arctan2(own[1], own[0]))
    assert lean == pytest.approx(-angle, abs=3)
    assert np.abs(levelled.mouth[20:68, 20:68].astype(int) - upright.mouth[20:68, 20:68]).mean() < 9


@pytest.mark.parametrize(("x", "y"), [(-30, -12), (23, 9)])
def test_the_crop_does_not_depend_on_where_the_face_is(x, y):
    images = clip()[:25]
    here, there = faces(run(images))[-1], faces(run([shifted(i, x, y) for i in images]))[-1]
    assert np.abs(there.landmarks - here.landmarks - (x, y)).max() < 1.5
    assert np.abs(there.mouth.astype(int) - here.mouth).mean() < 5


@pytest.mark.parametrize("scale", [0.6, 1.7])
def test_the_crop_does_not_depend_on_how_large_the_face_is(scale):
    images = clip()[:25]
    scaled = [cv2.resize(i, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for i in images]
    here, there = faces(run(images))[-1], faces(run(scaled))[-1]
    assert np.abs((there.landmarks + 0.5) / scale - 0.5 - here.landmarks).max() < 2.5
    assert np.abs(there.mouth.astype(int) - here.mouth).mean() < 8


def test_quality_falls_with_each_thing_that_hides_the_lips():
    images = clip()[:16]
    good = faces(run(images))[-1]
    x, y = good.landmarks[3:].mean(axis=0)

    def hand(image):
        covered = image.copy()
        cv2.ellipse(covered, (int(x), int(y)), (42, 26), 0, 0, 360, (90, 120, 160), -1)
        return covered

    worse = {
        "blurred": lambda image: cv2.GaussianBlur(image, (0, 0), 5),
        "dark": lambda image: image // 24,
        "far": lambda image: cv2.resize(image, (108, 86), interpolation=cv2.INTER_AREA),
        "covered": hand,
        "cut off": lambda image: np.ascontiguousarray(image[: int(y) + 4]),
    }
    for name, spoil in worse.items():
        # The face is found while it can be seen, then spoiled; pictures of another size are another stream.
        node = opened(detector="haar")
        run(images, node)
        answers = run(
            [spoil(image) for image in images], node, epoch=int(name in ("far", "cut off")), first=16
        )
        spoiled = [a.quality if isinstance(a, messages.Face) else 0.0 for a in answers[-8:]]
        assert np.median(spoiled) < 0.6 * good.quality, name
