"""Corpora are found as they are published: GRID zipped and unpacked, Lombard GRID, FSDD, one's own clips."""

import contextlib
import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.speech.layouts import find_clips, parse_align, words_in_name
from engines.speech.vocabulary import SLOTS
from nodes.runtime.errors import UserError
from nodes.sources.talker.generate import grid_name

GRID = Path(__file__).parents[3] / "shared/data/grid_s1"
SAID = ("bin", "blue", "at", "f", "two", "now")
ALIGN = """\
0 8000 sil
8000 13000 bin
13000 17500 blue
17500 21500 at
21500 24000 f
24000 29000 two
29000 40000 now
"""
KALDI = ["b_B ih_I n_E", "b_B l_I uw_E", "ae_B t_E", "eh_B f_E", "t_B uw_E", "n_B aw_E"]


def write(path, content=b"media"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def zipped(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def published(folder):
    """GRID as downloaded: an archive for each speaker, the transcripts in one of their own."""
    zipped(folder / "s1.zip", {"s1/bbaf2n.mpg": b"one", "s1/bbaf3s.mpg": b"two"})
    zipped(folder / "s2.zip", {"s2/bbaf2n.mpg": b"three", "__MACOSX/s2/._bbaf2n.mpg": b""})
    other = ALIGN.replace("8000", "9000")
    members = {"s1/bbaf2n.align": ALIGN, "s2/bbaf2n.align": other, "s1/bbaf3s.align": ALIGN}
    zipped(folder / "alignments.zip", {f"alignments/{name}": text for name, text in members.items()})


def names(clips):
    return [clip.name for clip in clips]


def test_grid_as_downloaded_needs_no_unpacking(tmp_path):
    published(tmp_path)
    clips = find_clips(tmp_path)
    assert names(clips) == ["s1/bbaf2n", "s1/bbaf3s", "s2/bbaf2n"]
    assert [clip.speaker for clip in clips] == ["s1", "s1", "s2"]
    assert clips[0].words() == SAID
    assert (clips[0].times()[0], clips[2].times()[0]) == (("bin", 0.32, 0.52), ("bin", 0.36, 0.52))
    with clips[2].media.on_disk() as path:
        assert (path.name, path.read_bytes()) == ("bbaf2n.mpg", b"three")
    assert not path.exists()


@pytest.mark.parametrize("where", ["alignments/s1", "s1/align", "s1"])
def test_grid_unpacked_is_the_same_clips(tmp_path, where):
    write(tmp_path / "s1" / "bbaf2n.mpg")
    write(tmp_path / "s2" / "bbaf2n.mpg")
    write(tmp_path / where / "bbaf2n.align", ALIGN)
    write(tmp_path / where.replace("s1", "s2") / "bbaf2n.align", ALIGN.replace("8000", "9000"))
    one, two = find_clips(tmp_path)
    assert (one.name, one.times()[0][1], two.name, two.times()[0][1]) == (
        "s1/bbaf2n",
        0.32,
        "s2/bbaf2n",
        0.36,
    )


def test_an_archive_that_was_unpacked_beside_itself_counts_once(tmp_path):
    published(tmp_path)
    for name in ("s1", "s2", "alignments"):
        with zipfile.ZipFile(tmp_path / f"{name}.zip") as archive:
            archive.extractall(tmp_path)
    clips = find_clips(tmp_path)
    assert names(clips) == ["s1/bbaf2n", "s1/bbaf3s", "s2/bbaf2n"]
    assert not any(clip.media.member for clip in clips)


def lombard(folder, name="s2_l_bbaf2n"):
    write(folder / "front" / f"{name}.mov")
    write(folder / "side" / f"{name}.mov")
    write(folder / "audio" / f"{name}.wav")
    phones, at = [{"phone": "SIL", "offset": 0.0, "duration": 0.5}], 0.5
    for word in KALDI:
        for phone in word.split():
            phones.append({"phone": phone, "offset": at, "duration": 0.1})
            at += 0.1
    write(folder / "alignment" / f"{name}.json", json.dumps({name: phones}))


def test_lombard_grid_has_its_sound_and_its_phones_beside_the_picture(tmp_path):
    lombard(tmp_path / "lombardgrid")
    [clip] = find_clips(tmp_path)
    assert (clip.name, clip.speaker, clip.words()) == ("s2/s2_l_bbaf2n", "s2", SAID)
    assert clip.media.place.as_posix() == "lombardgrid/front/s2_l_bbaf2n.mov"
    assert clip.sound.place.name == "s2_l_bbaf2n.wav"
    assert clip.times()[0] == ("bin", 0.5, pytest.approx(0.8))
    assert clip.times()[-1] == ("now", pytest.approx(1.7), pytest.approx(1.9))


def test_a_clip_of_lombard_grid_that_was_misread_has_what_was_said(tmp_path):
    write(tmp_path / "front" / "s46_p_gbszs_WRONG_sgbs8s.mov")
    [clip] = find_clips(tmp_path)
    assert clip.words() == ("set", "green", "by", "s", "eight", "soon")


def test_a_lombard_alignment_with_other_words_than_the_name_is_refused(tmp_path):
    lombard(tmp_path)
    path = tmp_path / "alignment" / "s2_l_bbaf2n.json"
    path.write_text(path.read_text().replace("n_B", "n_I"))
    [clip] = find_clips(tmp_path)
    with pytest.raises(UserError, match=r"s2_l_bbaf2n\.json: 5 words in it, its name says 6"):
        clip.times()


def test_digits_say_what_they_are_by_name(tmp_path):
    write(tmp_path / "7_theo_11.wav")
    write(tmp_path / "0_yweweler_3.wav")
    zero, seven = sorted(find_clips(tmp_path), key=lambda clip: clip.words(), reverse=True)
    assert (zero.speaker, zero.words(), zero.isolated) == ("yweweler", ("zero",), True)
    assert (seven.speaker, seven.words()) == ("theo", ("seven",))


def test_ones_own_clips_have_their_words_beside_them(tmp_path):
    write(tmp_path / "ada" / "first.mp4")
    write(tmp_path / "ada" / "first.txt", "Bin blue, at F two now.\n")
    write(tmp_path / "ada" / "holiday.mp4")  # nobody knows what is said in it
    write(tmp_path / "talk.WAV")
    write(tmp_path / "talk.align", ALIGN)
    ada, talk = find_clips(tmp_path)
    assert (ada.name, ada.speaker, ada.words(), ada.times()) == ("ada/first", "ada", SAID, ())
    assert (talk.speaker, talk.words()) == (tmp_path.name, SAID)


def test_what_cannot_be_used_is_one_clear_line(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        find_clips(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no clips with transcripts there; give GRID"):
        find_clips(tmp_path)
    write(tmp_path / "s1.zip", b"half a download")
    with pytest.raises(UserError, match=r"s1\.zip: not a zip archive that can be read"):
        find_clips(tmp_path)


def test_two_transcripts_that_fit_as_well_are_not_guessed_between(tmp_path):
    write(tmp_path / "clip.mp4")
    write(tmp_path / "a" / "clip.align", ALIGN)
    write(tmp_path / "b" / "clip.align", ALIGN)
    with pytest.raises(UserError, match=r"both .* may be its transcript; keep one"):
        find_clips(tmp_path)


def test_text_that_is_no_text_names_the_file(tmp_path):
    write(tmp_path / "clip.wav")
    write(tmp_path / "clip.txt", b"\xff\xfe\x00")
    [clip] = find_clips(tmp_path)
    with pytest.raises(UserError, match=r"clip\.txt: not text in UTF-8"):
        clip.words()


@given(st.tuples(*(st.sampled_from(slot) for slot in SLOTS)))
def test_a_grid_name_is_read_as_it_is_written(words):
    assert words_in_name(grid_name(list(words))) == words


@given(st.text(max_size=60))
def test_an_align_file_is_read_or_refused_in_one_line(text):
    with contextlib.suppress(UserError):
        words = parse_align(text, "clip.align")
        assert len(words) <= len(text.splitlines())
        assert all(word not in ("sil", "sp") for word, _, _ in words)


def test_the_split_is_by_the_name_alone(tmp_path):
    if not GRID.is_dir():
        pytest.skip("no ../shared/data/grid_s1")
    flat = find_clips(GRID)
    kept = {clip.media.place.stem for clip in flat if clip.held_out}
    assert 0.05 < len(kept) / len(flat) < 0.15
    for clip in [clip for clip in flat if clip.held_out][:2] + [clip for clip in flat if not clip.held_out][
        :2
    ]:
        os.makedirs(tmp_path / "s1", exist_ok=True)
        shutil.copy(clip.media.path, tmp_path / "s1" / f"{clip.media.place.stem}.mpg")
    assert [clip.media.place.stem in kept for clip in find_clips(tmp_path)] == [
        clip.held_out for clip in find_clips(tmp_path)
    ]
