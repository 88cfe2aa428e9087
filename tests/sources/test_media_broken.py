"""Media files that are damaged, and files and options that cannot be used."""

import logging
import time
from pathlib import Path

import numpy as np
import pytest
from fixtures_media import grey, tone, write
from played import SECOND, content, grid_clip, holes, play

from nodes.runtime.errors import UserError
from nodes.runtime.messages import Audio, Picture
from nodes.runtime.node import Context
from nodes.sources.container import probe
from nodes.sources.media import Media
from nodes.sources.timeline import Piece

pytestmark = pytest.mark.live

TALKER = Path(__file__).parents[2] / "nodes" / "sources" / "talker" / "talker.mp4"
clip = pytest.fixture(grid_clip)


# Damaged --------------------------------------------------------------------------------------------


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


# Of no use ------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    "text", ["", "audio", "sound 1-2", "audio 2-1", "audio 1..2", "video -1-2", "audio 1-1"]
)
def test_a_cut_that_makes_no_sense_is_one_clear_line(clip, text):
    with pytest.raises(UserError, match="in seconds, such as") as error:
        Media(path=str(clip), cut=[text]).open(Context(name="clip"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("option", "value"), [("speed", -1.0), ("speed", float("nan")), ("max_side", 0)])
def test_options_out_of_range_are_one_clear_line(clip, option, value):
    with pytest.raises(UserError, match=option):
        Media(path=str(clip), **{option: value}).open(Context(name="clip"))
