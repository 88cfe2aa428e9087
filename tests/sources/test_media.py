"""What a media file gives: sound, pictures, and gaps for what it lacks or is cut out of it."""

import shutil
import subprocess
from itertools import pairwise

import cv2
import numpy as np
import pytest
from fixtures_media import grey, tone, write
from played import SECOND, content, grid_clip, holes, of, play, samples_at

from nodes.runtime.messages import Audio, Gap, Picture, encode

pytestmark = pytest.mark.live

clip = pytest.fixture(grid_clip)


def test_a_real_clip_gives_its_sound_and_pictures_at_their_times(clip):
    messages = play(clip)
    pictures = content(messages, Picture)
    assert [p.t_start_ns for p in pictures] == [i * 40_000_000 for i in range(75)]
    assert {p.t_end_ns - p.t_start_ns for p in pictures} == {40_000_000}
    assert pictures[0].image.shape == (288, 360, 3)
    sound = content(messages, Audio)
    assert sound[0].t_start_ns == 0
    assert all(s.samples.dtype == np.float32 and s.samples.size <= 640 for s in sound)
    assert sum(s.samples.size for s in sound) / 16_000 == pytest.approx(3.0, abs=0.03)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg command to compare with")
def test_a_real_clip_sounds_as_the_ffmpeg_command_decodes_it(clip):
    command = ["ffmpeg", "-v", "quiet", "-i", str(clip), "-ac", "1", "-ar", "16000", "-f", "f32le", "-"]
    theirs = np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.float32)
    ours, _ = samples_at(play(clip))
    n = min(ours.size, theirs.size)
    assert abs(ours.size - theirs.size) < 64
    assert np.abs(ours[:n] - theirs[:n]).max() < 1e-3
    assert np.abs(ours).max() > 0.05


def test_sequence_numbers_and_times_are_without_a_break(clip):
    messages = play(clip, name="talker", epoch=7)
    for port in ("audio", "picture"):
        stream = of(messages, port)
        assert [m.seq for m in stream] == list(range(len(stream)))
        assert {(m.stream, m.epoch) for m in stream} == {("talker", 7)}
        assert all(a.t_end_ns == b.t_start_ns for a, b in pairwise(stream))
        assert stream[-1].t_end_ns - stream[0].t_start_ns == 4 * SECOND


def test_a_second_of_gaps_ends_each_port_so_that_speech_ends(clip):
    for port in ("audio", "picture"):
        tail = [m for m in of(play(clip), port) if isinstance(m, Gap) and m.reason == "end of file"]
        assert len(tail) == 25
        assert {m.t_end_ns - m.t_start_ns for m in tail} == {40_000_000}


def test_a_replay_is_the_same_to_the_last_byte(clip):
    first, second = (
        [b"".join(bytes(part) for part in encode(m)) for m in play(clip, cut=["video 1-2"])] for _ in range(2)
    )
    assert first == second


def test_a_tone_comes_through_the_resampler_clean(tmp_path):
    samples, times = samples_at(play(write(tmp_path / "tone.wav", tone(44_100, 1.0, 1000), 44_100)))
    middle = slice(800, -800)
    assert np.abs(samples[middle] - 0.5 * np.sin(2 * np.pi * 1000 * times[middle])).max() < 2e-3


def test_what_16_khz_cannot_hold_is_filtered_not_folded(tmp_path):
    samples, _ = samples_at(play(write(tmp_path / "high.wav", tone(48_000, 1.0, 12_000), 48_000)))
    assert np.abs(samples[800:-800]).max() < 5e-3


def test_a_file_with_no_picture_says_so_at_pace(tmp_path):
    messages = play(write(tmp_path / "voice.wav", tone(8_000, 1.0), 8_000))
    gaps = holes(messages, "picture")
    assert {g.reason for g in gaps} == {"no picture in voice.wav"}
    assert len(gaps) == 25
    assert not content(messages, Picture)


def test_a_file_with_no_sound_says_so_at_pace(tmp_path):
    messages = play(write(tmp_path / "mute.mp4", pictures=[(i / 25, grey(9 * i)) for i in range(25)]))
    gaps = holes(messages, "audio")
    assert {g.reason for g in gaps} == {"no sound in mute.mp4"}
    assert len(gaps) == 25
    assert not content(messages, Audio)


def test_cut_stretches_are_withheld_and_the_rest_is_untouched(clip):
    whole, cut = play(clip), play(clip, cut=["audio 1.0-2.0", "video 0.5-1.5"])
    gone = [m for m in cut if isinstance(m, Gap) and m.reason == "cut"]
    for port, start, end in (("audio", 1.0, 2.0), ("picture", 0.48, 1.52)):
        mine = [m for m in gone if m.port == port]
        assert (mine[0].t_start_ns / SECOND, mine[-1].t_end_ns / SECOND) == pytest.approx((start, end))
    assert [(m.port, m.t_start_ns, m.t_end_ns) for m in whole] == [
        (m.port, m.t_start_ns, m.t_end_ns) for m in cut
    ]


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg command to write a display matrix with")
def test_a_telephone_picture_stands_upright(tmp_path):
    image = grey(0)
    image[:, :48] = 255
    flat = write(tmp_path / "flat.mp4", pictures=[(i / 25, image) for i in range(5)])
    turned, shown = tmp_path / "turned.mp4", tmp_path / "shown.png"
    ffmpeg = ["ffmpeg", "-v", "quiet", "-i"]
    subprocess.run([*ffmpeg, flat, "-c", "copy", "-metadata:s:v:0", "rotate=90", turned], check=True)
    subprocess.run([*ffmpeg, turned, "-frames:v", "1", shown], check=True)
    theirs, ours = cv2.imread(str(shown)), content(play(turned), Picture)[0].image
    if theirs.shape != (96, 64, 3):
        pytest.skip("this ffmpeg command writes no display matrix")
    assert ours.shape == theirs.shape
    assert np.abs(ours.astype(int) - theirs).mean() < 4
    assert abs(ours[:40].mean() - ours[56:].mean()) > 200


def test_large_pictures_are_shrunk_to_what_is_asked(tmp_path):
    path = write(tmp_path / "big.mp4", pictures=[(i / 25, grey(90, 1280, 720)) for i in range(3)])
    assert content(play(path), Picture)[0].image.shape == (360, 640, 3)
    assert content(play(path, max_side=320), Picture)[0].image.shape == (180, 320, 3)
