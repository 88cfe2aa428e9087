"""The talker: found by face detectors, in time with its sound, and made again by its own generator."""

import itertools
import json
import shutil
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.speech.recordings import read_align, read_sound
from engines.speech.vocabulary import WORDS
from nodes.sources.talker.identity import random_identity
from nodes.sources.talker.performance import FRAME_RATE, Actor, render_clip
from nodes.sources.talker.visemes import JAW, OPEN, ROUND, TUCK, mouth_track, phones, timed_phones

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "nodes/sources/talker"
YUNET = ROOT.parent / "shared/models/face_detection_yunet_n_640_640.onnx"
RATE = 16_000

needs_synthesisers = pytest.mark.skipif(
    not all(map(shutil.which, ("flite", "espeak-ng"))), reason="flite or espeak-ng is not installed"
)


def pictures_of(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


@pytest.fixture(scope="module")
def pictures():
    return pictures_of(FOLDER / "talker.mp4")


@pytest.fixture(scope="module")
def facts():
    return json.loads((FOLDER / "talker.json").read_text())


def faces_by_haar(picture):
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    return cascade.detectMultiScale(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), 1.1, 5, minSize=(60, 60))


def test_the_clip_is_what_its_facts_say(pictures, facts):
    path = FOLDER / "talker.mp4"
    assert path.stat().st_size < 300_000
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.width, video.height, video.average_rate) == (360, 288, facts["fps"])
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        assert (video.start_time, audio.start_time) == (0, 0)
        times = [frame.time for frame in container.decode(video=0)]
    assert times == pytest.approx([k / 25 for k in range(len(times))], abs=1e-3)
    assert len(pictures) == round(facts["seconds"] * facts["fps"])
    assert [text for text, _, _ in facts["words"]] == " ".join(facts["sentences"]).split()
    assert set(" ".join(facts["sentences"]).split()) <= set(WORDS)


def test_haar_finds_one_face_in_nearly_every_picture(pictures):
    found = [len(faces_by_haar(picture)) == 1 for picture in pictures]
    assert np.mean(found) >= 0.95


def test_yunet_finds_one_face_with_its_mouth_in_nearly_every_picture(pictures):
    if not YUNET.exists():
        pytest.skip("no ../shared/models")
    detector = cv2.FaceDetectorYN.create(str(YUNET), "", (360, 288), 0.8)
    found = [detector.detect(picture)[1] for picture in pictures]
    assert np.mean([faces is not None and len(faces) == 1 for faces in found]) >= 0.95
    corners = np.array([faces[0][10:14] for faces in found if faces is not None])
    assert np.all(np.abs(corners[:, 1] - corners[:, 3]) < 12)  # level
    assert np.all((corners[:, 2] - corners[:, 0] > 35) & (corners[:, 2] - corners[:, 0] < 75))


def test_words_are_heard_at_their_times_and_nothing_between(facts):
    sound = read_sound(FOLDER / "talker.mp4")

    def level(start, end):
        return float(np.sqrt(np.mean(sound[round(start * RATE) : round(end * RATE)] ** 2)))

    usual = np.mean([level(start, end) for _, start, end in facts["words"]])
    for text, start, end in facts["words"]:
        assert level(start, end) > 0.15 * usual, text
    assert level(0, facts["words"][0][1] - 0.02) < 0.03 * usual
    first, second = facts["words"][5], facts["words"][6]  # the pause between the sentences
    assert second[1] - first[2] > 0.6
    assert level(first[2] + 0.05, second[1] - 0.02) < 0.03 * usual


def darkness_of_the_mouth(pictures):
    """How dark the inside of the lips gets in each picture, within YuNet-like fixed bounds of the mouth."""
    region = [cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)[180:215, 150:206] for picture in pictures]
    return np.array([np.mean(piece < 55) for piece in region], float)


def test_the_mouth_moves_with_the_words_within_one_picture(pictures, facts):
    seen = darkness_of_the_mouth(pictures)
    correlations = {}
    for shift in range(-6, 7):
        times = (np.arange(len(pictures)) + 0.5 + shift) / FRAME_RATE
        opening = mouth_track([tuple(word) for word in facts["words"]], times)[:, OPEN]
        correlations[shift] = np.corrcoef(seen, opening)[0, 1]
    assert max(correlations, key=correlations.get) == 0
    assert correlations[0] > 0.6
    assert facts["av_offset_ms"] == 0


@needs_synthesisers
def test_the_generator_makes_the_same_clip_again(tmp_path, pictures, facts):
    pytest.importorskip("pyworld")
    from nodes.sources.talker.generate import make_talker

    make_talker(tmp_path, facts["seed"])
    again = json.loads((tmp_path / "talker.json").read_text())
    assert {**again, "tools": 0} == {**facts, "tools": 0}
    for old, new in zip(pictures, pictures_of(tmp_path / "talker.mp4"), strict=True):
        assert np.abs(old.astype(int) - new).mean() < 1.0  # another build of x264 may round otherwise
    old, new = read_sound(FOLDER / "talker.mp4"), read_sound(tmp_path / "talker.mp4")
    assert np.corrcoef(old, new)[0, 1] > 0.98


@needs_synthesisers
def test_grid_like_clips_are_labelled_as_grids_are_and_named_as_none(tmp_path):
    pytest.importorskip("pyworld")
    from nodes.sources.talker.generate import grid_name, make_grid_clip

    words = ["bin", "blue", "at", "f", "zero", "now"]
    assert grid_name(words) == "bbafzn"
    make_grid_clip(tmp_path, words, seed=77)
    labelled = read_align(tmp_path / "rendered-bbafzn.align")
    assert [text for text, _, _ in labelled] == words
    lines = [line.split() for line in (tmp_path / "rendered-bbafzn.align").read_text().splitlines()]
    assert lines[0][0] == "0"
    assert lines[-1][1:] == ["75000", "sil"]
    assert all(line[1] == following[0] for line, following in itertools.pairwise(lines))
    assert len(pictures_of(tmp_path / "rendered-bbafzn.mp4")) == 75
    sound = read_sound(tmp_path / "rendered-bbafzn.mp4")
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".align", ".mp4"]
    loud = np.flatnonzero(np.abs(sound) > 0.05) / RATE
    assert loud[0] == pytest.approx(labelled[0][1], abs=0.12)
    assert loud[-1] == pytest.approx(labelled[-1][2], abs=0.12)


def test_strangers_faces_are_found_too():
    resting, speaking = mouth_track([("now", 1.0, 1.4)], np.array([0.0, 1.2]))
    found = []
    for seed in range(6):
        actor = Actor(random_identity(np.random.default_rng(seed)))
        for mouth in (resting, speaking):
            found.append(len(faces_by_haar(actor.picture(mouth)[..., ::-1].copy())) == 1)
    assert np.mean(found) >= 0.9


def test_no_two_seeds_look_alike_and_each_looks_the_same_again():
    words = [("bin", 0.1, 0.4)]
    first, again, other = (np.stack(list(render_clip(words, 0.4, seed))) for seed in (1, 1, 2))
    assert first.shape == (10, 288, 360, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert np.abs(first.astype(int) - other).mean() > 5


def test_an_eye_that_blinks_covers_its_iris():
    actor = Actor(random_identity(np.random.default_rng(8)))
    mouth = mouth_track([("a", 5, 6)], np.array([0.0]))[0]
    opened, closed = (actor.picture(mouth, blink)[118:140, 130:230].astype(int) for blink in (0.0, 1.0))
    assert (opened.max(axis=2) < 60).sum() > 3 * (closed.max(axis=2) < 60).sum()


@st.composite
def spoken(draw):
    words, at = [], draw(st.floats(0, 1))
    for text in draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=8)):
        length = draw(st.floats(0.08, 0.6))
        words.append((text, at, at + length))
        at += length + draw(st.sampled_from([0.0, 0.0, 0.3]))
    return words


@given(spoken())
@settings(max_examples=60, deadline=None)
def test_mouth_tracks_stay_in_range_and_rest_in_silence(words):
    end = words[-1][2]
    track = mouth_track(words, np.arange(-0.5, end + 1.0, 0.02))
    assert track.shape[1] == 8
    assert np.isfinite(track).all()
    assert track.min() >= 0
    assert track.max() <= 1.0 + 1e-9
    assert track[0, OPEN] < 0.1
    assert track[-1, OPEN] < 0.1
    phones_in_time = timed_phones(words)
    assert phones_in_time[0][1] == pytest.approx(words[0][1])
    assert phones_in_time[-1][2] == pytest.approx(end)
    for before, after in itertools.pairwise(phones_in_time):
        assert before[2] <= after[1] + 1e-9


def test_lips_take_the_shape_of_the_sound():
    def shape(word, phone):
        at = next((start + end) / 2 for name, start, end in timed_phones([(word, 0.5, 0.9)]) if name == phone)
        return mouth_track([(word, 0.5, 0.9)], np.array([0.0, at - 0.03]))[1]

    assert shape("bin", "B")[OPEN] < 0.12
    assert shape("m", "M")[OPEN] < 0.2
    assert shape("two", "UW")[ROUND] > 0.7
    assert shape("f", "F")[TUCK] > 0.6
    assert shape("now", "AA")[JAW] > 0.5
    assert shape("green", "IY")[ROUND] < 0.1
    with pytest.raises(KeyError):
        phones("aardvark")
