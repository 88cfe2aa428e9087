"""Shards hold what their tables say, and a build can be stopped, repeated and completed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.speech import recordings, sentences
from engines.speech.corpus import defect, plan, write_opus, write_shard
from engines.speech.recordings import read_sound
from engines.speech.shards import Shard
from engines.speech.speakers import SPEAKERS
from engines.speech.synthetic import espeak_variants
from engines.speech.vocabulary import SLOTS, WORDS
from engines.speech.voices import RATE, Speech
from nodes.runtime.errors import UserError
from nodes.sources.talker.generate import grid_name

ROOT = Path(__file__).parents[2]
GRID, FSDD = ROOT.parent / "shared/data/grid_s1", ROOT.parent / "shared/data/fsdd"

needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
needs_grid = pytest.mark.skipif(not GRID.is_dir(), reason="no ../shared/data/grid_s1")
needs_fsdd = pytest.mark.skipif(not FSDD.is_dir(), reason="no ../shared/data/fsdd")


def read_table(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_opus_comes_back_sample_aligned(tmp_path):
    # Bursts of band-limited noise with silence between: a shift of one sample would show in the correlation.
    rng = np.random.default_rng(0)
    noise = np.convolve(rng.standard_normal(12 * RATE), np.hanning(9) / 4, "same").astype(np.float32)
    sound = 0.2 * noise * (np.sin(np.arange(12 * RATE) / RATE * 6) > 0)
    write_opus(tmp_path / "noise.opus", sound)
    heard = read_sound(tmp_path / "noise.opus")
    assert len(heard) == len(sound)
    size = 2 * len(sound)
    correlation = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(sound, size)))
    assert int(correlation.argmax()) == 0
    assert (tmp_path / "noise.opus").stat().st_size < 12 * 8000


def tone(seconds=1.0, level=0.3):
    return (level * np.sin(np.arange(int(seconds * RATE)) * 0.2)).astype(np.float32)


@pytest.mark.parametrize(
    ("speech", "reason"),
    [
        (Speech(tone(), (("bin", 0.1, 0.5), ("blue", 0.5, 0.9))), None),
        (Speech(tone(), ()), None),
        (Speech(tone(0.05), ()), "length"),
        (Speech(tone(20), ()), "length"),
        (Speech(np.zeros(RATE, np.float32), ()), "silent"),
        (Speech(np.clip(tone(level=3), -1, 1), ()), "clipped"),
        (Speech(np.full(RATE, np.nan, np.float32), ()), "not finite"),
        (Speech(tone(), (("bin", 0.1, 0.5), ("blue", 0.4, 0.9))), "word times"),
        (Speech(tone(), (("bin", 0.1, 1.5),)), "word times"),
        (Speech(tone(), (("bin", 0.5, 0.51),)), "word times"),
        (Speech(np.append(tone(0.5), np.zeros(RATE // 2, np.float32)), (("bin", 0.6, 0.9),)), "silent word"),
    ],
)
def test_poisonous_utterances_are_found(speech, reason):
    assert defect(speech) == reason


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=200, deadline=None)
def test_other_sentences_have_no_vocabulary_word_and_vocabulary_sentences_no_other(seed):
    rng = np.random.default_rng(seed)
    assert not set(sentences.other_sentence(rng)) & set(WORDS)
    said = sentences.vocabulary_sentence(rng)
    assert 1 <= len(said) <= 8
    assert set(said) <= set(WORDS)
    assert all(word in slot for word, slot in zip(sentences.grid_sentence(rng), SLOTS, strict=True))


@needs_espeak
def test_a_shards_table_tells_what_its_sound_holds(tmp_path):
    shard = Shard("espeak", 0, 12)
    dropped = write_shard(shard, tmp_path, seed=5)
    table, sound = read_table(tmp_path / "espeak-000.jsonl"), read_sound(tmp_path / "espeak-000.opus")
    assert len(table) + sum(dropped.values()) == 12
    assert len({line["id"] for line in table}) == len(table)
    level = float(np.sqrt(np.mean(sound**2)))
    previous = 0
    for line in table:
        assert previous <= line["start"] < line["end"] <= len(sound)
        gap = sound[line["end"] + RATE // 50 : line["end"] + RATE // 4]
        assert np.sqrt(np.mean(gap**2)) < 0.02 * level
        for _, start, end in line["words"]:
            word = sound[line["start"] + round(start * RATE) : line["start"] + round(end * RATE)]
            assert np.sqrt(np.mean(word**2)) > 0.05 * level
        assert line["kind"].startswith("other_") == (line["words"] == [])
        previous = line["end"]


@needs_espeak
def test_two_voices_are_kept_out_of_training(tmp_path):
    assert not {"steph", "steph2", "steph3"} & set(espeak_variants())
    assert len(espeak_variants()) > 50
    heldout = [shard for shard in plan(None, None, 1000) if shard.heldout]
    assert [(shard.kind, shard.voice, shard.count) for shard in heldout] == [
        ("espeak", "", 300),
        ("festival", "ked_diphone", 300),
    ]
    assert not [s for s in plan(None, None, 1000) if s.voice == "ked_diphone" and not s.heldout]
    write_shard(Shard("espeak", 0, 5, heldout=True), tmp_path, seed=1)
    table = read_table(tmp_path / "heldout-espeak-000.jsonl")
    assert {line["split"] for line in table} == {"heldout"}
    assert all("+steph" in line["voice"] for line in table)
    assert all(len(line["words"]) == 6 for line in table)


@needs_espeak
def test_words_are_said_alone_too_and_half_of_them_are_digits(tmp_path):
    write_shard(Shard("espeak", 0, 40, single=True), tmp_path, seed=1)
    table = read_table(tmp_path / "single-espeak-000.jsonl")
    assert {line["kind"] for line in table} == {"single"}
    (words,) = zip(*(line["words"] for line in table), strict=True)
    said = [word for word, _, _ in words]
    assert 0.4 < np.mean([word in sentences.DIGITS for word in said]) < 0.9
    assert len(set(said)) > 12


def build(*arguments):
    command = [sys.executable, "-m", "engines.speech.corpus", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=150)


@pytest.mark.skipif(
    not all(map(shutil.which, ("espeak-ng", "flite", "festival"))), reason="a synthesiser is not installed"
)
def test_a_stopped_build_goes_on_and_makes_the_same_shards(tmp_path):
    pytest.importorskip("pyworld")
    if not list(Path("/usr/share/festival/voices").glob("*/ked_diphone")):
        pytest.skip("festvox-kdlpc16k is not installed")
    whole = build(tmp_path, "--utterances", 12, "--seed", 3, "--no-rhvoice", "--no-prompts")
    assert whole.returncode == 0, whole.stderr
    record = json.loads((tmp_path / "corpus.json").read_text())
    assert record["seed"] == 3
    assert record["made"]["espeak/heldout"]["utterances"] == 12
    assert "flite" in record["versions"]
    tables = {path.name: path.read_text() for path in tmp_path.glob("*.jsonl")}
    assert len(tables) == len(plan(None, None, 12, rhvoice=False, recorded=False))
    kept = tmp_path / "flite-000.opus"
    before = kept.stat().st_mtime_ns
    (tmp_path / "espeak-000.jsonl").unlink()  # as if stopped in the middle of it
    (tmp_path / "espeak-000.opus").write_bytes(b"half a shard")
    again = build(tmp_path, "--utterances", 12, "--seed", 3, "--no-rhvoice", "--no-prompts")
    assert again.returncode == 0, again.stderr
    assert {path.name: path.read_text() for path in tmp_path.glob("*.jsonl")} == tables
    assert kept.stat().st_mtime_ns == before
    assert len(read_sound(tmp_path / "espeak-000.opus")) > RATE


def test_a_folder_without_recordings_is_one_clear_line(tmp_path):
    done = build(tmp_path / "out", "--grid", tmp_path)
    assert done.returncode != 0
    assert "no clips with transcripts there" in done.stderr
    assert "Traceback" not in done.stderr


@needs_grid
def test_grid_clips_keep_their_own_sound_words_and_split():
    utterances = list(SPEAKERS["grid"](Shard("grid", 0, 12, source=str(GRID)), np.random.default_rng(0)))
    for utterance in utterances:
        assert grid_name([text for text, _, _ in utterance.speech.words]) == utterance.id
        assert len(utterance.speech.samples) == pytest.approx(3 * RATE, abs=RATE // 100)
        assert defect(utterance.speech) is None
    splits = [recordings.grid_split(clip) for clip in recordings.grid_clips(GRID)]
    assert 0.05 < splits.count("validation") / len(splits) < 0.15


def test_a_malformed_align_file_names_its_line(tmp_path):
    path = tmp_path / "bbaf2n.align"
    path.write_text("0 1000 sil\n1000 later bin\n")
    with pytest.raises(UserError, match=r"bbaf2n\.align:2: expected .* found '1000 later bin'"):
        recordings.read_align(path)


def test_a_file_without_sound_names_itself(tmp_path):
    path = tmp_path / "empty.mp4"
    path.write_bytes(b"")
    with pytest.raises(UserError, match=r"empty\.mp4: no sound could be read"):
        read_sound(path)


@needs_fsdd
def test_digit_strings_hold_each_digit_where_they_say():
    files = recordings.fsdd_files(FSDD)
    assert set(files) == {"george", "jackson", "lucas", "nicolas"}
    digits = [recordings.read_digit(path) for path in files["jackson"][::120]]
    joined = recordings.digit_string(digits, np.random.default_rng(2))
    assert [text for text, _, _ in joined.words] == [digit.words[0][0] for digit in digits]
    assert defect(joined) is None
    for (_, start, end), digit in zip(joined.words, digits, strict=True):
        ((_, first, last),) = digit.words
        assert end - start == pytest.approx(last - first, abs=2e-3)
        piece = joined.samples[round(start * RATE) : round(end * RATE)]
        original = digit.samples[round(first * RATE) : round(first * RATE) + len(piece)]
        assert np.corrcoef(piece[100:-100], original[100:-100])[0, 1] > 0.99
