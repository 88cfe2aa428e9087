"""Landmarks hold still while the head does and keep up when it moves."""

import numpy as np
import pytest

from nodes.perception.crop import mouth_centre, reach
from nodes.perception.smooth import LandmarkFilter
from nodes.runtime.messages import FRAME_NS

FACE = np.array([[132, 155], [182, 155], [157, 186], [136, 210], [178, 210]], np.float32)


def smoothed(track, period_ns=FRAME_NS):
    smooth = LandmarkFilter()
    return np.array(
        [smooth.update(points.astype(np.float32), i * period_ns) for i, points in enumerate(track)]
    )


def test_the_noise_of_a_still_face_is_taken_out():
    rng = np.random.default_rng(0)
    noisy = FACE + rng.normal(0, 0.7, (200, 5, 2))
    steady = smoothed(noisy)[50:]
    jumps, before = np.abs(np.diff(steady, axis=0)).mean(), np.abs(np.diff(noisy, axis=0)).mean()
    assert jumps < before / 4


def test_a_talking_mouth_does_not_pull_the_crop_along():
    t = np.arange(100) / 25
    talk = np.repeat(FACE[None], 100, axis=0)
    talk[:, 3:, 1] += 4 * np.sin(2 * np.pi * 4 * t)[:, None]
    centres = np.array([mouth_centre(points) for points in smoothed(talk)[25:]])
    assert np.ptp(centres[:, 1]) < 0.4 * 8


def test_a_moving_head_is_followed_closely():
    speed = 3.0  # pixels a picture: one reach a second
    move = FACE + speed * np.arange(60)[:, None, None] * (1, 0)
    lag = move[40:, :, 0] - smoothed(move)[40:, :, 0]
    assert 0 <= lag.mean() < 0.06 * reach(FACE)


@pytest.mark.parametrize("rate", [15, 60])
def test_lag_is_in_seconds_whatever_the_camera_s_rate(rate):
    speed = 75.0  # pixels a second
    move = FACE + speed * np.arange(4 * rate)[:, None, None] / rate * (1, 0)
    lag = (move - smoothed(move, 1_000_000_000 // rate))[-1, :, 0].mean()
    assert lag < 0.06 * reach(FACE)


def test_the_first_answer_is_the_first_question():
    assert np.array_equal(LandmarkFilter().update(FACE, 5), FACE)
