"""Training takes GRID as it is published, Lombard GRID, and clips with nothing but words beside them."""

import json
import shutil
import subprocess
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from engines.speech.forced import align, best_path
from engines.speech.layouts import find_clips
from engines.speech.lips import main as cut_lips
from engines.speech.recordings import read_align, read_clip, read_sound
from engines.speech.shards import Shard
from engines.speech.speakers import SPEAKERS

GRID = Path(__file__).parents[3] / "shared/data/grid_s1"
NAMES = ("bbaf2n", "bbaf4p")
pytestmark = [
    pytest.mark.skipif(not GRID.is_dir(), reason="no ../shared/data/grid_s1"),
    pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed"),
]


def convert(source, target, *options):
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(source), *options, str(target)], check=True)
    return target


def published(folder):
    """Two speakers as Zenodo has them; their streams begin half a second into the file's own clock."""
    for speaker, name in zip(("s1", "s2"), NAMES, strict=True):
        file = convert(
            GRID / f"{name}.mp4", folder / f"{name}.mpg", "-c:v", "mpeg1video", "-q:v", "3", "-c:a", "mp2"
        )
        with zipfile.ZipFile(folder / f"{speaker}.zip", "w") as archive:
            archive.write(file, f"{speaker}/{name}.mpg")
        with zipfile.ZipFile(folder / "alignments.zip", "a") as archive:
            archive.write(GRID / f"{name}.align", f"alignments/{speaker}/{name}.align")
        file.unlink()


def utterances(folder):
    return list(SPEAKERS["grid"](Shard("grid", 0, 9, source=str(folder)), np.random.default_rng(0)))


def lag_s(heard, original):
    """How much later, in seconds, by the peak of the cross-correlation."""
    size = 2 * max(len(heard), len(original))
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(original, size))
    peak = int(np.fft.irfft(spectrum, size).argmax())
    return (peak - size if peak > size // 2 else peak) / 16_000


def test_grid_as_downloaded_becomes_utterances_and_lips_of_the_same_names(tmp_path):
    published(tmp_path / "grid")
    said = utterances(tmp_path / "grid")
    assert [(each.id, each.voice) for each in said] == [("s1_bbaf2n", "grid/s1"), ("s2_bbaf4p", "grid/s2")]
    for each, name in zip(said, NAMES, strict=True):
        assert each.speech.words == read_align(GRID / f"{name}.align")
        assert lag_s(each.speech.samples, read_sound(GRID / f"{name}.mp4")) == pytest.approx(0, abs=0.045)
    cut_lips(tmp_path / "grid", tmp_path / "lips", workers=1)
    index = [json.loads(line) for line in (tmp_path / "lips" / "index.jsonl").read_text().splitlines()]
    assert sorted(line["name"] for line in index) == [each.id for each in said]
    assert all((tmp_path / "lips" / f"{line['name']}.mp4").stat().st_size for line in index)


def test_lombard_grid_takes_its_sound_from_beside_the_picture(tmp_path):
    name, source = "s9_l_bbaf2n", GRID / "bbaf2n.mp4"
    convert(source, tmp_path / "front" / f"{name}.mov", "-an", "-c:v", "libx264", "-preset", "ultrafast")
    convert(source, tmp_path / "audio" / f"{name}.wav", "-vn", "-ar", "48000")
    [clip] = find_clips(tmp_path)
    speech = read_clip(clip)
    assert (clip.id, " ".join(clip.words())) == (name, "bin blue at f two now")
    assert lag_s(speech.samples, read_sound(source)) == pytest.approx(0, abs=0.002)
    assert [word for word, _, _ in speech.words] == list(clip.words())


def test_words_without_times_are_found_where_they_are_said():
    off = []
    for clip in [clip for clip in find_clips(GRID) if clip.held_out][:8]:
        times = clip.times()
        with clip.media.on_disk() as path:
            found = align(read_sound(path), clip.words())
        assert [word for word, _, _ in found] == [word for word, _, _ in times]
        assert all(a[2] <= b[1] + 1e-9 for a, b in pairwise(found))
        off += [max(abs(a[1] - b[1]), abs(a[2] - b[2])) for a, b in zip(found, times, strict=True)]
    assert np.median(off) < 0.06
    assert np.percentile(off, 90) < 0.15


def test_a_clip_whose_words_are_unknown_or_too_many_is_dropped_with_the_reason(tmp_path):
    convert(GRID / "bbaf2n.mp4", tmp_path / "hello.wav", "-vn")
    (tmp_path / "hello.txt").write_text("hello world\n")
    assert utterances(tmp_path) == ["words"]
    (tmp_path / "hello.txt").write_text("bin blue at f two now\n")
    [one] = utterances(tmp_path)
    assert (one.id, len(one.speech.words)) == ("hello", 6)
    (tmp_path / "hello.wav").write_bytes(b"cut off")
    assert utterances(tmp_path) == ["unreadable"]


def test_the_best_path_puts_a_blank_between_the_same_word_twice():
    log_probs = np.log(np.full((5, 3), 0.01))
    for frame, token in enumerate((1, 1, 0, 1, 2)):
        log_probs[frame, token] = np.log(0.98)
    assert best_path(log_probs, [1, 1, 2]) == [(0, 1), (3, 3), (4, 4)]
    with pytest.raises(ValueError, match="5 frames are too few for 4 words"):
        best_path(log_probs, [1, 1, 1, 1])
