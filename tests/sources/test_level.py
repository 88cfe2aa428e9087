"""Microphones that are heard and yet give nothing, or too much."""

import time

import numpy as np
import pytest
from fixtures_pulse import LineIn

from nodes.runtime.messages import Audio
from nodes.runtime.node import Context
from nodes.sources import level
from nodes.sources.level import CLIPPED, MUTED_S, Level
from nodes.sources.microphone import Microphone

pytestmark = pytest.mark.live

RATE = 16_000
MUTED = "microphone 'default' gives nothing but zeros, is it muted"


def speech(seconds, loud=0.3):
    return (loud * np.random.default_rng(2).standard_normal(int(RATE * seconds))).astype(np.float32)


def warnings(samples, channels=1):
    listening = Level("default", RATE)
    for begin in range(0, len(samples), 400):
        listening.hear(np.repeat(samples[begin : begin + 400, None], channels, axis=1))
    return listening.warnings


def test_a_muted_microphone_and_one_that_clips_are_told_and_both_end(sound_server, monkeypatch):
    """Three real sounds one after the other, from a real device."""
    monkeypatch.setattr(level, "MUTED_S", 1.5)
    monkeypatch.setattr(level, "HELD_WINDOWS", 2)
    pipe = sound_server.line_in(RATE)
    node = Microphone()
    node.open(Context(name="microphone"))
    told, heard = [], 0
    line = np.concatenate([speech(1.5, loud=3.0), speech(3.0), np.zeros(int(RATE * 2.2), np.float32)])
    try:
        with LineIn(pipe, np.concatenate([line, speech(1.0)]), RATE):
            deadline = time.monotonic() + line.size / RATE + 4
            while time.monotonic() < deadline and told[-3:] != ["", MUTED.partition(",")[0], ""]:
                heard += sum(m.samples.size for m in node.step([]) if isinstance(m, Audio))
                now = "; ".join(node.warnings).partition(",")[0]
                if not told or told[-1] != now:
                    told.append(now)
                time.sleep(0.02)
    finally:
        node.close()
    assert told == ["", "microphone 'default' is too loud", "", MUTED.partition(",")[0], ""]
    assert heard > 5 * RATE, "the sound goes on all the while"


@pytest.mark.parametrize("channels", [1, 2])
def test_only_exact_zeros_are_muted(channels):
    silence = np.zeros(int(RATE * (MUTED_S + 0.1)), np.float32)
    assert warnings(silence, channels) == (MUTED,)
    assert warnings(silence[: int(RATE * (MUTED_S - 0.1))], channels) == ()
    whisper = silence.copy()
    whisper[::RATE] = 1 / 32768
    assert warnings(whisper, channels) == ()


def test_one_loud_clap_is_not_clipping():
    clap = speech(3.0)
    clap[RATE : RATE + int(RATE * CLIPPED / 2)] = 1.0
    assert warnings(np.clip(clap, -0.99, 1.0)) == ()
    assert "cut off" in warnings(np.clip(speech(3.0, loud=1.0), -1, 1))[0]
