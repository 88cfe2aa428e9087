"""A media file as a source: its sound, its pictures, their times, and files that are broken."""

import logging
import shutil
import subprocess
import time
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from fixtures_media import click, grey, tone, write

from nodes.runtime.errors import UserError
from nodes.runtime.messages import Audio, Gap, Picture, encode
from nodes.runtime.node import Context
from nodes.sources.ahead import QUEUE_MESSAGES
from nodes.sources.container import probe
from nodes.sources.media import Media
from nodes.sources.timeline import Piece

pytestmark = pytest.mark.live

CLIPS = Path(__file__).parents[2] / ".." / "shared" / "data" / "grid_s1"
TALKER = Path(__file__).parents[2] / "nodes" / "sources" / "talker" / "talker.mp4"
SECOND = 1_000_000_000


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


@pytest.fixture
def clip():
    clips = sorted(CLIPS.glob("*.mp4"))
    if not clips:
        pytest.skip("no GRID clips in ../shared/data/grid_s1")
    return clips[0]


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


def test_a_tone_comes_through_the_resampler_clean(tmp_path):
    samples, times = samples_at(play(write(tmp_path / "tone.wav", tone(44_100, 1.0, 1000), 44_100)))
    middle = slice(800, -800)
    assert np.abs(samples[middle] - 0.5 * np.sin(2 * np.pi * 1000 * times[middle])).max() < 2e-3


def test_what_16_khz_cannot_hold_is_filtered_not_folded(tmp_path):
    samples, _ = samples_at(play(write(tmp_path / "high.wav", tone(48_000, 1.0, 12_000), 48_000)))
    assert np.abs(samples[800:-800]).max() < 5e-3


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


def test_neither_port_runs_ahead_of_the_other(clip, tmp_path):
    mute = write(tmp_path / "mute.mp4", pictures=[(i / 25, grey(9 * i)) for i in range(25)])
    for path in (clip, mute):
        ends = {"audio": 0, "picture": 0}
        for message in play(path):
            ends[message.port] = message.t_end_ns
            assert abs(ends["audio"] - ends["picture"]) <= 160_000_000


def test_cut_stretches_are_withheld_and_the_rest_is_untouched(clip):
    whole, cut = play(clip), play(clip, cut=["audio 1.0-2.0", "video 0.5-1.5"])
    gone = [m for m in cut if isinstance(m, Gap) and m.reason == "cut"]
    for port, start, end in (("audio", 1.0, 2.0), ("picture", 0.48, 1.52)):
        mine = [m for m in gone if m.port == port]
        assert (mine[0].t_start_ns / SECOND, mine[-1].t_end_ns / SECOND) == pytest.approx((start, end))
    assert [(m.port, m.t_start_ns, m.t_end_ns) for m in whole] == [
        (m.port, m.t_start_ns, m.t_end_ns) for m in cut
    ]


@pytest.mark.parametrize(
    "text", ["", "audio", "sound 1-2", "audio 2-1", "audio 1..2", "video -1-2", "audio 1-1"]
)
def test_a_cut_that_makes_no_sense_is_one_clear_line(clip, text):
    with pytest.raises(UserError, match="in seconds, such as") as error:
        Media(path=str(clip), cut=[text]).open(Context(name="clip"))
    assert "\n" not in str(error.value)


def test_real_speed_hands_sound_out_when_it_would_have_been_captured(tmp_path):
    path = write(
        tmp_path / "a.mp4", tone(48_000, 0.8), 48_000, [(i / 25, grey(9 * i)) for i in range(20)], "aac"
    )
    node, began, late = Media(path=str(path)), time.monotonic_ns(), []
    node.open(Context(name="clip"))
    try:
        while not node.finished:
            for m in node.step([]):
                due = m.t_start_ns if isinstance(m, Picture) else m.t_end_ns
                late.append((time.monotonic_ns() - due) / 1e6)
                assert m.t_start_ns >= began
            time.sleep(0.005)
    finally:
        node.close()
    assert len(late) > 80
    assert min(late) >= 0
    assert np.median(late) < 30


def test_speed_two_takes_half_the_time_and_leaves_the_times_alone(tmp_path):
    path, began = write(tmp_path / "a.wav", tone(16_000, 1.0), 16_000), time.monotonic()
    messages = play(path, speed=2.0)
    assert 0.95 < time.monotonic() - began < 1.8
    assert messages[-1].t_end_ns - messages[0].t_start_ns == pytest.approx(2 * SECOND, abs=2e6)


def test_a_loop_raises_the_epoch_and_goes_on_in_time(tmp_path):
    path = write(tmp_path / "a.wav", tone(16_000, 0.2), 16_000)
    node = Media(path=str(path), speed=0.0, loop=True)
    node.open(Context(name="clip", epoch=3))
    messages, deadline = [], time.monotonic() + 20
    while (not messages or messages[-1].epoch < 6) and time.monotonic() < deadline:
        messages += node.step([])
        time.sleep(0.001)
    assert not node.finished
    node.close()
    sound = of(messages, "audio")
    assert [m.seq for m in sound] == list(range(len(sound)))
    assert all(a.t_end_ns == b.t_start_ns for a, b in pairwise(sound))
    starts = {m.epoch: m.t_start_ns for m in reversed(sound)}
    assert starts == {3: 0, 4: 1.2 * SECOND, 5: 2.4 * SECOND, 6: 3.6 * SECOND}


def test_a_reader_nobody_steps_waits_and_closes_at_once(clip):
    node = Media(path=str(clip), speed=0.0, loop=True)
    node.open(Context(name="clip"))
    time.sleep(0.5)
    began = time.monotonic()
    node.close()
    assert time.monotonic() - began < 0.5
    assert len(node.step([])) == QUEUE_MESSAGES
    assert node.finished


def test_a_truncated_file_plays_what_is_there_and_says_so_once(clip, tmp_path, caplog):
    whole = tmp_path / "whole.mkv"
    write(whole, tone(48_000, 3.0), 48_000, [(i / 25, np.roll(grey(i), 1)) for i in range(75)])
    path = tmp_path / "half.mkv"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with caplog.at_level(logging.WARNING):
        messages = play(path)
    assert len(content(messages, Picture)) in range(25, 50)
    assert len(content(messages, Audio)) in range(25, 50)
    assert messages[-1].reason == "end of file"
    assert len(caplog.records) == 1
    assert "half.mkv: ends at 1." in caplog.text
    assert "of the 3.0 s" in caplog.text


def test_a_damaged_file_in_a_loop_says_so_once(tmp_path, caplog):
    whole = write(tmp_path / "whole.mkv", tone(48_000, 3.0), 48_000, [(i / 25, grey(i)) for i in range(75)])
    path = tmp_path / "half.mkv"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    node = Media(path=str(path), speed=0.0, loop=True)
    node.open(Context(name="clip"))
    messages, deadline = [], time.monotonic() + 20
    while (not messages or messages[-1].epoch < 3) and time.monotonic() < deadline:
        messages += node.step([])
        time.sleep(0.001)
    node.close()
    assert messages[-1].epoch == 3
    assert caplog.text.count("truncated or damaged") == 1


def test_damage_in_the_middle_leaves_the_rest_playing(tmp_path, caplog):
    path = write(tmp_path / "a.mp4", tone(48_000, 3.0), 48_000, sound_codec="flac")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 6000] = np.random.default_rng(1).bytes(6000)
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        messages = play(path)
    assert max(m.t_end_ns for m in content(messages, Audio)) == pytest.approx(3 * SECOND, abs=0.1 * SECOND)
    assert 1.5 < sum(m.samples.size for m in content(messages, Audio)) / 16_000 < 2.999
    assert holes(messages, "audio")
    assert "damaged packets" in caplog.text


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


def _not_there(folder):
    return folder / "none.mp4", "no such file"


def _empty(folder):
    (folder / "zero.mp4").touch()
    return folder / "zero.mp4", "empty"


def _text(folder):
    (folder / "notes.mp4").write_text("not a film\n" * 500)
    return folder / "notes.mp4", "not a playable media file"


def _folder(folder):
    return folder, "folder"


def _cut_before_its_index(folder):
    whole = write(folder / "whole.mp4", tone(48_000, 1.0), 48_000, sound_codec="aac")
    (folder / "headless.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    return folder / "headless.mp4", "cut off before its index"


def _subtitles(folder):
    (folder / "words.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nbin blue\n\n" * 3)
    return folder / "words.srt", "neither sound nor picture"


@pytest.mark.parametrize("make", [_not_there, _empty, _text, _folder, _cut_before_its_index, _subtitles])
def test_what_cannot_be_played_is_one_clear_line(tmp_path, make):
    path, reason = make(tmp_path)
    for attempt in (lambda: probe(str(path)), lambda: Media(path=str(path)).open(Context(name="clip"))):
        with pytest.raises(UserError, match=reason) as error:
            attempt()
        assert str(error.value).startswith(str(path))
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(("option", "value"), [("speed", -1.0), ("speed", float("nan")), ("max_side", 0)])
def test_options_out_of_range_are_one_clear_line(clip, option, value):
    with pytest.raises(UserError, match=option):
        Media(path=str(clip), **{option: value}).open(Context(name="clip"))


def test_what_was_read_before_a_failure_is_handed_out(monkeypatch):
    def failing(*_):
        yield Piece(0, "audio", 0, SECOND // 25, np.zeros(640, np.float32))
        raise RuntimeError("the disk is gone")

    monkeypatch.setattr("nodes.sources.media.timeline", failing)
    node = Media(path=str(TALKER), speed=0.0)
    node.open(Context(name="clip"))
    node._ahead._thread.join(5)
    assert [type(message) for message in node.step([])] == [Audio]
    with pytest.raises(RuntimeError, match="the disk is gone"):
        node.step([])
    node.close()
