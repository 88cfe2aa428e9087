"""The times of what a media file gives: at any rate, with holes, sound and pictures together."""

from itertools import pairwise

import pytest
from fixtures_media import click, grey, tone, write
from played import SECOND, bump, content, grid_clip, holes, of, play, samples_at

from nodes.runtime.messages import Audio, Picture

pytestmark = pytest.mark.live

clip = pytest.fixture(grid_clip)


@pytest.mark.parametrize(
    ("name", "codec", "rate", "channels"),
    [
        ("a.wav", "pcm_s16le", 8_000, 1),
        ("b.wav", "pcm_s16le", 11_025, 2),
        ("c.mkv", "pcm_s16le", 16_000, 1),
        ("d.mkv", "flac", 44_100, 2),
        ("e.mov", "pcm_s16le", 48_000, 6),
        ("f.mp4", "aac", 44_100, 2),
        ("g.webm", "libopus", 48_000, 2),
    ],
)
def test_any_rate_and_channel_count_keeps_its_time(tmp_path, name, codec, rate, channels):
    path = write(tmp_path / name, click(rate, 1.5, at=0.7, channels=channels), rate, sound_codec=codec)
    messages = play(path)
    assert bump(messages) == pytest.approx(0.7, abs=0.0015)
    samples, _ = samples_at(messages)
    assert samples.size == pytest.approx(1.5 * 16_000, abs=0.025 * 16_000)
    if channels < 3:
        assert samples.max() == pytest.approx(0.8, abs=0.1)


@pytest.mark.parametrize("name", ["a.mp4", "b.mkv", "c.ts"])
@pytest.mark.parametrize("start", [0.0, 0.32])
def test_sound_and_picture_stay_together(tmp_path, name, start):
    """A flash and a click at the same moment, in files whose sound begins with the picture, or later."""
    pictures = [(i / 25, grey(255 if i == 20 else 0)) for i in range(40)]
    path = write(
        tmp_path / name,
        click(48_000, 1.6 - start, at=0.82 - start),
        48_000,
        pictures,
        "aac",
        sound_start=start,
    )
    messages = play(path)
    flash = [p for p in content(messages, Picture) if p.image.mean() > 128]
    assert len(flash) == 1
    assert bump(messages) - flash[0].t_start_ns / 1e9 == pytest.approx(0.02, abs=0.003)
    late = [m for m in holes(messages, "audio") if m.t_end_ns <= 0.32 * SECOND]
    assert bool(late) is (start > 0)


def test_a_variable_frame_rate_keeps_each_picture_at_its_own_time(tmp_path):
    times = [0.0, 0.033, 0.067, 0.15, 0.19, 0.31, 0.333, 0.4, 0.45, 0.5]
    path = write(
        tmp_path / "vfr.mkv", tone(48_000, 0.6), 48_000, [(t, grey(20 * i)) for i, t in enumerate(times)]
    )
    pictures = content(play(path), Picture)
    assert [p.t_start_ns / 1e9 for p in pictures] == pytest.approx(times, abs=0.0011)
    assert [p.image.mean() for p in pictures] == pytest.approx([20 * i for i in range(10)], abs=4)


def test_a_hole_in_the_sound_is_a_gap_and_never_zeros(tmp_path):
    path = write(tmp_path / "hole.mkv", [(0.0, tone(48_000, 0.5)), (0.83, tone(48_000, 0.5))], 48_000)
    messages = play(path)
    gaps = holes(messages, "audio")
    assert gaps[0].t_start_ns / SECOND == pytest.approx(0.5, abs=0.002)
    assert gaps[-1].t_end_ns / SECOND == pytest.approx(0.83, abs=0.002)
    assert all(a.t_end_ns == b.t_start_ns for a, b in pairwise(of(messages, "audio")))
    assert sum(m.samples.size for m in content(messages, Audio)) == pytest.approx(16_000, abs=32)


def test_neither_port_runs_ahead_of_the_other(clip, tmp_path):
    mute = write(tmp_path / "mute.mp4", pictures=[(i / 25, grey(9 * i)) for i in range(25)])
    for path in (clip, mute):
        ends = {"audio": 0, "picture": 0}
        for message in play(path):
            ends[message.port] = message.t_end_ns
            assert abs(ends["audio"] - ends["picture"]) <= 160_000_000
