"""The geometry of crops, on drawn pictures where the right answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.perception.crop import Framing, box_framing, face_framing, mouth_framing, reach, roll

UPRIGHT = np.array([[132, 155], [182, 155], [157, 186], [136, 210], [178, 210]], np.float32)


def moved(points, angle, scale, x, y):
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return (points @ np.array([[cos, sin], [-sin, cos]]) + (x, y)).astype(np.float32)


transforms = st.tuples(st.floats(-1.2, 1.2), st.floats(0.3, 4), st.floats(-200, 200), st.floats(-200, 200))


@given(transforms)
def test_the_five_points_lie_in_the_same_places_of_every_crop(transform):
    points = moved(UPRIGHT, *transform)
    for framing in (mouth_framing, face_framing):
        expected = framing(UPRIGHT).inside(UPRIGHT)
        assert framing(points).inside(points) == pytest.approx(expected, abs=0.05)


@given(transforms)
def test_outside_undoes_inside(transform):
    points = moved(UPRIGHT, *transform)
    framing = mouth_framing(points)
    assert framing.outside(framing.inside(points)) == pytest.approx(points, abs=0.02)


def test_the_mouth_is_centred_level_and_half_as_wide_as_its_crop():
    inside = mouth_framing(UPRIGHT).inside(UPRIGHT)
    assert inside[3:].mean(axis=0) == pytest.approx([43.5, 43.5], abs=1e-3)
    assert inside[0, 1] == pytest.approx(inside[1, 1], abs=1e-3)
    assert 0.45 < (inside[4, 0] - inside[3, 0]) / 88 < 0.55


def test_a_larger_crop_has_the_same_scale_and_centre():
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (288, 360), np.uint8)
    small, large = (mouth_framing(UPRIGHT, size).cut(grey) for size in (88, 112))
    assert np.array_equal(large[12:100, 12:100], small)


@pytest.mark.parametrize("scale", [0.25, 0.5, 0.8, 2.0])
def test_a_dot_in_the_picture_is_at_its_place_in_the_crop(scale):
    grey = np.zeros((400, 400), np.uint8)
    grey[196:205, 206:215] = 255
    crop = Framing(np.array([200.0, 200.0]), scale, 0.0, 64).cut(grey).astype(float)
    y, x = (np.average(axis, weights=crop) for axis in np.mgrid[:64, :64])
    assert (x, y) == pytest.approx((31.5 + 10 * scale, 31.5), abs=0.3)


def test_a_large_face_is_averaged_not_thinned():
    stripes = np.zeros((1200, 1200), np.uint8)
    stripes[::2] = 255
    points = moved(UPRIGHT, 0.0, 4.0, -100, -100)
    assert mouth_framing(points).cut(stripes).std() < 12


def test_turning_and_nodding_change_the_unit_of_length_little():
    turned = UPRIGHT.copy()
    turned[:, 0] = 157 + (turned[:, 0] - 157) * np.cos(np.radians(30))
    nodded = UPRIGHT.copy()
    nodded[:, 1] = 180 + (nodded[:, 1] - 180) * np.cos(np.radians(30))
    assert reach(turned) > 0.92 * reach(UPRIGHT)
    assert reach(nodded) > 0.92 * reach(UPRIGHT)


@given(st.floats(-1.5, 1.5))
def test_roll_is_the_lean_of_the_head(angle):
    assert roll(moved(UPRIGHT, angle, 1.0, 0, 0)) == pytest.approx(angle, abs=1e-3)


def test_a_crop_beyond_the_picture_repeats_its_edge():
    grey = np.full((100, 100), 77, np.uint8)
    for centre in ([-500.0, 50.0], [50.0, 900.0], [99.0, 99.0]):
        for scale in (0.2, 1.0):
            assert (Framing(np.array(centre), scale, 0.3, 64).cut(grey) == 77).all()


def test_a_haar_box_is_framed_whole():
    framing = box_framing((10.0, 20.0, 128.0, 128.0))
    corners = framing.inside(np.array([[10.0, 20.0], [137.0, 147.0]]))
    assert corners == pytest.approx(np.array([[-0.25, -0.25], [63.25, 63.25]]), abs=1e-3)
