import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.speech.augment import LogMelTorch
from engines.speech.features import BANDS, FLOOR, MEAN, SPREAD, LogMel


def sound(seconds, seed=0):
    return (np.random.default_rng(seed).standard_normal(int(16000 * seconds)) * 0.1).astype(np.float32)


def test_one_chunk_of_sound_gives_sixteen_frames():
    mel = LogMel()
    assert mel.push(sound(0.16)).shape == (16, BANDS)
    assert mel.push(sound(0.16)).shape == (16, BANDS)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 4000), min_size=1, max_size=12))
def test_frames_do_not_depend_on_how_the_sound_was_cut(pieces):
    whole = sound(3.2)[: sum(pieces)]
    mel, cut = LogMel(), 0
    frames = []
    for n in pieces:
        frames.append(mel.push(whole[cut : cut + n]))
        cut += n
    # Matrix products of another height round otherwise in the last bit.
    np.testing.assert_allclose(np.concatenate(frames), LogMel().push(whole), atol=1e-5)


def test_training_computes_the_same_features_as_live():
    whole = sound(1.6, 1)
    trained = LogMelTorch()(torch.from_numpy(whole)[None])[0].numpy()
    np.testing.assert_allclose(trained, LogMel().push(whole), atol=2e-4)


def test_a_frame_needs_no_sound_after_its_hop():
    whole = sound(0.5)
    changed = whole.copy()
    changed[1600:] = 0.7
    np.testing.assert_array_equal(LogMel().push(whole)[:10], LogMel().push(changed)[:10])


def test_silence_is_the_floor_and_a_tone_lights_its_band():
    silence = LogMel().push(np.zeros(1600, np.float32))
    np.testing.assert_allclose(silence, (np.log(FLOOR) - MEAN) / SPREAD, rtol=1e-5)
    t = np.arange(1600) / 16000
    low, high = (
        LogMel().push(np.sin(2 * np.pi * f * t).astype(np.float32))[-1].argmax() for f in (300, 3000)
    )
    assert 0 < low < high < BANDS - 1


@pytest.mark.parametrize("warp", [1, 13])
def test_warped_features_move_the_spectrum(warp):
    tone = torch.sin(2 * torch.pi * 1500 * torch.arange(1600) / 16000)[None]
    mel = LogMelTorch()
    plain = mel(tone)[0, -1].argmax()
    warped = mel(tone, torch.tensor([warp]))[0, -1].argmax()
    assert (warped < plain) if warp == 1 else (warped > plain)
