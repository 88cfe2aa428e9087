"""What a media file gives when the media node plays it."""

import time
from pathlib import Path

import numpy as np
import pytest

from nodes.runtime.messages import Audio, Gap
from nodes.runtime.node import Context
from nodes.sources.media import Media

CLIPS = Path(__file__).parents[2] / ".." / "shared" / "data" / "grid_s1"
SECOND = 1_000_000_000


def grid_clip():
    clips = sorted(CLIPS.glob("*.mp4"))
    if not clips:
        pytest.skip("no GRID clips in ../shared/data/grid_s1")
    return clips[0]


def play(path, name="clip", epoch=0, **options):
    """Every message of a file, played as fast as it goes unless told otherwise."""
    node = Media(path=str(path), **{"speed": 0.0, **options})
    node.open(Context(name=name, epoch=epoch))
    messages, deadline = [], time.monotonic() + 30
    try:
        while not node.finished:
            assert time.monotonic() < deadline
            messages += node.step([])
            time.sleep(0.002)
        return messages + node.step([])
    finally:
        node.close()


def of(messages, port):
    return [m for m in messages if m.port == port]


def content(messages, kind):
    return [m for m in messages if isinstance(m, kind)]


def holes(messages, port, but="end of file"):
    return [m for m in of(messages, port) if isinstance(m, Gap) and m.reason != but]


def samples_at(messages):
    """Samples of a stretch of sound and the time of each in seconds."""
    blocks = content(messages, Audio)
    times = [b.t_start_ns / 1e9 + np.arange(b.samples.size) / 16_000 for b in blocks]
    return np.concatenate([b.samples for b in blocks]), np.concatenate(times)


def bump(messages):
    """When the click sounds, in seconds."""
    samples, times = samples_at(messages)
    weight = np.where(np.abs(samples) > 0.05, np.abs(samples), 0)
    return float((weight * times).sum() / weight.sum())
