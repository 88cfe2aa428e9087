"""Clips are evaluated as they would be heard live, under conditions that are what they say, and resumed."""

import csv
import json
import shutil
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from rich.console import Console

from benchmarks.never_worse import ALLOWED, page
from benchmarks.words import latencies, transcripts
from engines.speech.evaluation.hearing import Hearing
from engines.speech.evaluation.measure import SOUND_ALONE, Bench, choose, measure_all
from engines.speech.evaluation.noises import Backgrounds, Heard, spoken_part
from engines.speech.evaluation.replay import faces_of, record
from engines.speech.evaluation.results import Results, Row, score
from engines.speech.evaluation.run import evaluate
from engines.speech.evaluation.talk import Talk, joined, talks
from engines.speech.evaluation.views import Seen, Views, hand, lost_spans
from engines.speech.layouts import find_clips
from nodes.perception.transcribe import Transcribe
from nodes.runtime.errors import UserError
from nodes.runtime.messages import CHUNK_NS, SAMPLE_RATE, Audio, Face, Transcript
from nodes.runtime.node import Context
from nodes.sources.container import SAMPLE_NS

SHARED = Path(__file__).parents[3] / "shared" / "data"
GRID, FSDD, NOISE = SHARED / "grid_s1", SHARED / "fsdd", SHARED / "noise"
pytestmark = pytest.mark.skipif(not GRID.is_dir(), reason="no ../shared/data/grid_s1")


@pytest.fixture(scope="module")
def clips():
    return choose(find_clips(GRID), 4, True, "", GRID)


@pytest.fixture(scope="module")
def takes(clips):
    return [record(clip) for clip in clips]


@pytest.fixture(scope="module")
def backgrounds(clips):
    return Backgrounds(NOISE, None, clips)


def live_words(messages):
    node = Transcribe()
    node.open(Context(name="transcribe", live=False))
    told = [each for message in messages for each in node.step([message])]
    return [word for each in told if isinstance(each, Transcript) and each.final for word in each.words]


def test_what_is_remembered_of_the_models_changes_no_word_time_or_confidence(takes):
    hearing, take = Hearing(), takes[0]
    whole = sorted([*take.sound, *take.faces], key=lambda message: message.t_end_ns)
    first, again = hearing.words(take.sound, take.faces), hearing.words(take.sound, take.faces)
    assert [word.text for word in first] == list(take.words)
    assert first == again == live_words(whole)


def test_words_without_a_camera_are_those_with_one_that_shows_nothing(takes):
    hearing, take = Hearing(), takes[1]
    nobody = Views(take, None, None).of(Seen(missing=1.0))
    assert hearing.words(take.sound, nobody) == hearing.words(take.sound, [])


@pytest.mark.parametrize("kind", ["noise", "babble"])
def test_noise_is_as_loud_as_it_says_and_the_same_every_time(takes, clips, kind):
    take, others = takes[0], find_clips(GRID)[:40]
    spoken = spoken_part(take.samples, take.times)
    for snr in (-5.0, 10.0):
        both = Backgrounds(NOISE, None, others).add(take.clip, take.samples, spoken, Heard(kind, snr))
        again = Backgrounds(NOISE, None, others).add(take.clip, take.samples, spoken, Heard(kind, snr))
        assert np.array_equal(both, again)
        gain = float(np.dot(both, take.samples) / np.dot(take.samples, take.samples))
        alone = both / min(gain, 1.0) - take.samples
        loud = np.mean(take.samples[spoken] ** 2) / np.mean(alone**2)
        assert 10 * np.log10(loud) == pytest.approx(snr, abs=1.5)


def test_where_no_times_are_known_the_loud_part_is_the_spoken_one(takes):
    for take in takes:
        told, found = (take.samples[spoken_part(take.samples, times)] for times in (take.times, ()))
        # In decibels, since a level is what it is for.
        assert 10 * np.log10(np.mean(found**2) / np.mean(told**2)) == pytest.approx(0, abs=3)


def seen_ns(faces):
    return {face.t_start_ns for face in faces if isinstance(face, Face)}


def test_pictures_are_lost_in_stretches_of_400_ms(takes):
    views, take = Views(takes[0], None, None), takes[0]
    whole = seen_ns(views.of(Seen()))
    assert len(whole) > 60
    assert not seen_ns(views.of(Seen(missing=1.0)))
    for share in (0.25, 0.5, 0.75):
        spans = lost_spans(take, share)
        left = seen_ns(views.of(Seen(missing=share)))
        assert left == {t for t in whole if not any(start <= t < end for start, end in spans)}
        assert sum(end - start for start, end in spans) / take.end_ns == pytest.approx(share, abs=0.1)


def test_lips_are_late_and_early_by_what_is_said_and_every_time_has_a_message(takes):
    views, take = Views(takes[0], None, None), takes[0]
    whole = seen_ns(take.faces)
    for late_ms in (-200, -40, 120):
        faces = views.of(Seen(late_ms=late_ms))
        assert seen_ns(faces) <= {t + late_ms * 1_000_000 for t in whole}
        assert len(seen_ns(faces)) >= len(whole) - 5
        assert (faces[0].t_start_ns, faces[-1].t_end_ns) == (0, take.end_ns)


def test_a_covered_mouth_is_another_picture_of_the_same_face(takes):
    take = takes[0]
    bare = {face.t_start_ns: face for face in take.faces if isinstance(face, Face)}
    covered = [face for face in faces_of(take.clip, hand(take.faces, 1.0)) if isinstance(face, Face)]
    changed = [
        np.mean(np.abs(face.mouth.astype(int) - bare[face.t_start_ns].mouth.astype(int)))
        for face in covered
        if face.t_start_ns in bare
    ]
    assert not changed or np.mean(changed) > 8
    assert sum(f.quality for f in covered) < sum(face.quality for face in bare.values())


def test_another_sentence_brings_the_lips_of_the_other_clip_while_there_is_sound(takes):
    one, two = takes[0], takes[1]
    faces = [face for face in Views(one, two, None).of(Seen(other="clip")) if isinstance(face, Face)]
    heard_ns = max(m.t_end_ns for m in one.sound if isinstance(m, Audio)) // CHUNK_NS * CHUNK_NS
    other = [face for face in two.faces if isinstance(face, Face) and face.t_start_ns < heard_ns]
    assert len(other) > 60
    assert [face.t_start_ns for face in faces] == [face.t_start_ns for face in other]
    assert all(np.array_equal(a.mouth, b.mouth) for a, b in zip(faces, other, strict=True))


def test_a_single_word_is_heard_amid_silence():
    if not FSDD.is_dir():
        pytest.skip("no ../shared/data/fsdd")
    [clip] = choose(find_clips(FSDD), 1, False, "jackson", FSDD)
    take = record(clip)
    samples = take.samples
    assert not samples[:8000].any()
    assert np.abs(samples[8000:16000]).max() > 0.05
    assert take.end_ns == take.sound[-1].t_end_ns
    edges = [(message.t_start_ns, message.t_end_ns) for message in take.sound]
    assert all(end == start for (_, end), (start, _) in pairwise(edges))


def test_a_stopped_evaluation_goes_on_and_other_models_are_not_mixed_in(tmp_path):
    row = Row("s1/a", "s1", ("bin",), {("clean", SOUND_ALONE): [("bin", 0.9, "a")]})
    results = Results(tmp_path, {"models": "one"})
    results.keep(row)
    results.keep(Row("s1/b", "s1", ("blue",), row.heard))
    path = tmp_path / "clips.jsonl"
    path.write_text(path.read_text()[:-20])  # killed while it wrote
    again = Results(tmp_path, {"models": "one"})
    assert again.rows == {"s1/a": row}
    again.keep(Row("s1/c", "s1", ("blue",), row.heard))
    assert set(Results(tmp_path, {"models": "one"}).rows) == {"s1/a", "s1/c"}
    with pytest.raises(UserError, match="holds results of other weights or settings"):
        Results(tmp_path, {"models": "two"})


def test_an_evaluation_is_a_table_csv_json_and_a_plot_and_is_not_done_twice(tmp_path, capsys, clips):
    own, out = tmp_path / "own" / "ada", tmp_path / "out"
    own.mkdir(parents=True)
    clip = clips[0]
    shutil.copy(clip.media.path, own / "first.mp4")
    (own / "first.txt").write_text(" ".join(clip.words()))
    evaluate(own.parent, out, 0, False, "", "", "", NOISE, None)
    shown = capsys.readouterr().out
    assert "word error rate" in shown
    assert "expected calibration error" in shown
    rows = list(csv.DictReader((out / "evaluation.csv").open()))
    conditions = {(row["sound"], row["seen"]) for row in rows}
    assert {("clean", "nothing"), ("noise -5 dB", "as it is"), ("none", "no sound")} <= conditions
    [quiet] = [row for row in rows if (row["sound"], row["seen"]) == ("clean", "as it is")]
    assert (quiet["clips"], quiet["words"], float(quiet["wer_percent"])) == ("1", "6", 0.0)
    told = json.loads((out / "evaluation.json").read_text())
    assert set(told["models"]) == {"audio", "video", "fusion"}
    assert (out / "evaluation.svg").read_text().startswith("<?xml")
    before = (out / "clips.jsonl").stat().st_mtime_ns, (out / "clips.jsonl").read_bytes()
    evaluate(own.parent, out, 0, False, "", "", "", NOISE, None)
    assert (out / "clips.jsonl").read_bytes() == before[1]


def test_clips_measured_side_by_side_are_those_measured_one_by_one(tmp_path, clips, backgrounds):
    bench = Bench(Hearing(), backgrounds, (Heard("noise", 0.0),), (Seen(),), lips_alone=False)
    rows = measure_all(bench, clips[:2], Results(tmp_path, {}), Console(quiet=True), jobs=2)
    assert rows == [bench.measure(clips[:2], index) for index in range(2)]
    assert set(Results(tmp_path, {}).rows) == {clip.name for clip in clips[:2]}


def test_a_clip_that_cannot_be_played_is_left_out_with_a_line(tmp_path, capsys):
    (tmp_path / "broken.mp4").write_bytes(b"no media")
    (tmp_path / "broken.txt").write_text("bin blue")
    evaluate(tmp_path, tmp_path / "out", 0, False, "", "", "", None, None)
    assert "left out: " in capsys.readouterr().out


def test_a_speaker_that_is_not_there_is_one_line_with_those_that_are(tmp_path):
    with pytest.raises(UserError, match=r"no such clips there; its speakers are grid_s1"):
        choose(find_clips(GRID), 4, False, "s99", GRID)


def test_words_come_soon_after_they_are_said(clips):
    told = list(transcripts(clips[0], ""))
    found = latencies(clips[0].times(), told)
    first, final = found.values()
    assert len(first) == 6
    # Not a benchmark: captured times alone; a first partial cannot come before its word.
    assert all(ms > 0 for ms in first)
    assert final[0] > 400
    wrong = [(at, msgspec.structs.replace(each, text="bin")) for at, each in told]
    assert latencies(clips[0].times(), wrong) == {}


def test_a_camera_makes_it_no_worse_reduced(clips, backgrounds):
    """A few cells of docs/never_worse.md on a few clips; `python -m benchmarks.never_worse` is the whole."""
    views = (Seen(), Seen(missing=0.5), Seen(missing=1.0), Seen(late_ms=200), Seen(other="clip"))
    sounds = (Heard(), Heard("noise", 0.0))
    bench = Bench(Hearing(), backgrounds, sounds, views, lips_alone=False)
    scores = score([bench.measure(clips, index) for index in range(len(clips))], SOUND_ALONE)
    assert len(scores) == len(sounds) * (len(views) + 1)
    for each in scores:
        if each.seen == str(Seen(missing=1.0)):
            assert each.excess.percent == each.excess.low == each.excess.high == 0.0
        elif each.excess:
            assert each.excess.low <= ALLOWED, f"{each.sound}, {each.seen}: {each.excess}"
    text = page(scores, [], GRID, {"audio": "0"})
    assert "| as it is |" in text


def test_a_sentence_loses_nothing_by_the_one_before_it_reduced(clips, backgrounds):
    """What lips carry over a pause: two sentences in a stream, in quiet and in noise."""
    views = (Seen(), Seen(away=True), Seen(other="clip"))
    bench = Bench(Hearing(), backgrounds, (Heard(), Heard("noise", 0.0)), views, lips_alone=False)
    streams = talks(clips, 2)
    scores = score([bench.measure(streams, index) for index in range(len(streams))], SOUND_ALONE)
    assert {each.rate.words for each in scores} == {24}
    for each in scores:
        if each.sound == str(Heard()):
            assert each.rate.percent == 0.0, f"{each.seen}: {each.rate}"
        elif each.excess:
            assert each.excess.low <= ALLOWED, f"{each.sound}, {each.seen}: {each.excess}"
    text = page(scores, scores, GRID, {"audio": "0"})
    assert "## 3 sentences in one stream" in text
    assert "| lost between the sentences |" in text


def test_clips_in_one_stream_follow_each_other_with_their_words_and_faces(takes):
    stream = joined(Talk(tuple(take.clip for take in takes[:3])), takes[:3])
    assert stream.words == tuple(word for take in takes[:3] for word in take.words)
    assert len(stream.joints_ns) == 2
    begins = (0, *stream.joints_ns)
    for begin, take in zip(begins, takes, strict=False):
        spoken = take.samples[: take.sound[0].t_end_ns // SAMPLE_NS + SAMPLE_RATE]
        first = begin // SAMPLE_NS
        np.testing.assert_array_equal(stream.samples[first : first + len(spoken)], spoken)
        shown = {face.t_start_ns for face in take.faces if isinstance(face, Face)}
        assert {begin + t for t in shown} <= seen_ns(stream.faces)
    edges = [(message.t_start_ns, message.t_end_ns) for message in stream.faces]
    assert all(end == start for (_, end), (start, _) in pairwise(edges)), "the lips go on in the pauses"
    away = seen_ns(stream.faces) - seen_ns(Views(stream, None, None).of(Seen(away=True)))
    assert len(away) == pytest.approx(40, abs=2)
    assert all(any(-1e9 < t - joint < 1e9 for joint in stream.joints_ns) for t in away)
