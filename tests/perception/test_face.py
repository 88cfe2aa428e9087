"""The face node as the pipeline runs it, on real pictures."""

import shutil

import cv2
import msgspec
import numpy as np
import pytest
from faces_of import TALKER, YUNET, clip, messages_of, opened, pictures_of, run, shifted

from engines import store
from engines.catalogue import Catalogue, read_catalogue
from engines.fetch import sha256_of
from nodes.perception.detect import Haar, YuNet, open_detector
from nodes.runtime import messages
from nodes.runtime.errors import UserError
from nodes.runtime.messages import FRAME_NS, Gap, Picture


def faces(answers):
    return [a for a in answers if isinstance(a, messages.Face)]


def gaps(answers):
    return [a for a in answers if isinstance(a, Gap)]


def empty_room(image):
    """The picture without its speaker: the wall beside him everywhere."""
    return cv2.resize(image[:100, :60], (image.shape[1], image.shape[0]))


@pytest.mark.parametrize("index", [0, 17, 42])
def test_a_default_clone_finds_the_face_in_every_picture_of_a_clip(index):
    images = clip(index)
    answers = run(images, opened(detector="haar"))
    assert len(faces(answers)) == len(images)
    for face in faces(answers):
        assert face.mouth.shape == (88, 88)
        assert face.face.shape == (64, 64)
        assert face.mouth.dtype == face.face.dtype == np.uint8
        assert face.landmarks.shape == (5, 2)
        assert face.landmarks.dtype == np.float32
        assert face.quality > 0.6
        assert face.track == 0


def test_a_portrait_is_the_face_larger_and_in_colour_where_it_is_asked_for():
    images = clip(5)[:5]
    plain, coloured = faces(run(images, opened())), faces(run(images, opened(portrait=True)))
    assert all(face.portrait is None for face in plain)
    for face, other in zip(coloured, plain, strict=True):
        assert (face.portrait.shape, face.portrait.dtype) == ((224, 224, 3), np.uint8)
        assert np.array_equal(face.face, other.face)
        grey = cv2.cvtColor(
            cv2.resize(face.portrait, (64, 64), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY
        )
        assert np.abs(grey.astype(int) - face.face).mean() < 4
        back = messages.decode([bytes(part) for part in messages.encode(face)])
        assert np.array_equal(back.portrait, face.portrait)
        assert messages.decode([bytes(part) for part in messages.encode(other)]).portrait is None


def test_the_landmarks_are_where_yunet_sees_them():
    if not YUNET.is_file():
        pytest.skip(f"{YUNET} is not here")
    teacher = YuNet(YUNET, 0.09)
    images = clip(3)
    errors = []
    for image, face in zip(images, faces(run(images, opened(detector="haar"))), strict=True):
        [seen] = teacher.detect(image)
        eyes = np.linalg.norm(seen.landmarks[1] - seen.landmarks[0])
        errors.append(np.linalg.norm(face.landmarks - seen.landmarks, axis=1).mean() / eyes)
    assert np.mean(errors) < 0.06


def test_yunet_and_haar_lead_to_the_same_crops():
    if not YUNET.is_file():
        pytest.skip(f"{YUNET} is not here")
    images = clip(5)[:30]
    haar, yunet = opened(detector="haar"), opened(detector="yunet", yunet=str(YUNET))
    by_haar, by_yunet = faces(run(images, haar)), faces(run(images, yunet))
    apart = [
        np.abs(a.landmarks - b.landmarks).max() for a, b in zip(by_haar[10:], by_yunet[10:], strict=True)
    ]
    assert np.median(apart) < 1.5


def test_the_talker_is_found_without_any_download():
    if not TALKER.is_file():
        pytest.skip(f"{TALKER} is not made yet")
    images = pictures_of(TALKER)
    found = faces(run(images, opened(detector="haar")))
    assert len(found) > 0.97 * len(images)
    assert np.median([face.quality for face in found]) > 0.5


def test_stream_seq_epoch_and_times_are_those_of_the_picture():
    answers = run(clip()[:5], opened(detector="haar"), epoch=3, first=100)
    assert [a.seq for a in answers] == [100, 101, 102, 103, 104]
    for i, answer in enumerate(answers):
        assert (answer.stream, answer.epoch) == ("camera", 3)
        assert (answer.t_start_ns, answer.t_end_ns) == ((100 + i) * FRAME_NS, (101 + i) * FRAME_NS)


def test_a_gap_in_the_pictures_is_a_gap_in_the_faces():
    gap = Gap(
        stream="camera", seq=7, epoch=2, t_start_ns=10, t_end_ns=20, of="picture", reason="camera unplugged"
    )
    [answer] = opened(detector="haar").step([gap])
    assert isinstance(answer, Gap)
    assert (answer.of, answer.reason) == ("face", "camera unplugged")
    assert (answer.stream, answer.seq, answer.epoch, answer.t_start_ns, answer.t_end_ns) == (
        "camera",
        7,
        2,
        10,
        20,
    )


def test_what_is_not_a_picture_is_left_alone():
    gap = Gap(stream="microphone", seq=0, epoch=0, t_start_ns=0, t_end_ns=1, of="audio", reason="overflow")
    assert opened(detector="haar").step([gap]) == []
    assert opened(detector="haar").step([]) == []


@pytest.mark.parametrize("shape", [(288, 360), (32, 640), (640, 32), (33, 35), (1080, 1920)])
@pytest.mark.parametrize("content", ["black", "white", "noise"])
def test_pictures_without_a_face_are_gaps(shape, content):
    rng = np.random.default_rng(0)
    image = {
        "black": np.zeros,
        "white": lambda s, t: np.full(s, 255, t),
        "noise": lambda s, t: rng.integers(0, 256, s, t),
    }[content]((*shape, 3), np.uint8)
    answers = run([image] * 4, opened(detector="haar"))
    assert {(type(a), a.of, a.reason) for a in answers} == {(Gap, "face", "no face")}


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (0, 360), (31, 400)])
def test_a_picture_too_small_for_lips_says_so(shape):
    [answer] = run([np.zeros((*shape, 3), np.uint8)], opened(detector="haar"))
    assert answer.reason == f"picture of {shape[1]}x{shape[0]} is too small"


def test_a_face_in_a_picture_of_four_thousand_pixels():
    images = [cv2.resize(image, (3840, 3072)) for image in clip()[:3]]
    small, large = faces(run(clip()[:3])), faces(run(images))
    assert len(large) == 3
    assert np.abs(large[-1].landmarks * 360 / 3840 - small[-1].landmarks).max() < 2
    assert np.abs(large[-1].mouth.astype(int) - small[-1].mouth).mean() < 6


def test_a_face_that_leaves_and_returns():
    images = clip()
    gone = [empty_room(images[0])] * 40
    answers = run(images[:30] + gone + images[30:60], opened(detector="haar"))
    assert len(faces(answers[:30])) == 30
    assert len(gaps(answers[31:70])) == 39
    returned = answers[70 + 3 :]
    assert len(faces(returned)) == len(returned)
    assert {f.track for f in faces(answers[:30])} == {0}
    assert {f.track for f in faces(returned)} == {1}


def test_a_face_covered_for_a_moment_is_still_the_same():
    images = clip()
    answers = run(images[:20] + [empty_room(images[0])] * 5 + images[20:40], opened(detector="haar"))
    assert gaps(answers[20:25])
    assert {f.track for f in faces(answers)} == {0}
    assert len(faces(answers[28:])) == len(answers[28:])


@pytest.mark.parametrize(("seconds", "track"), [(0.3, 0), (5.0, 1)])
def test_after_a_hole_in_the_pictures_only_a_long_one_makes_another_face(seconds, track):
    node = opened(detector="haar")
    run(clip()[:10], node)
    after = run(clip()[10:20], node, first=10 + round(seconds * 25))
    assert len(faces(after)) == 10
    assert {f.track for f in faces(after)} == {track}


def test_a_new_epoch_is_a_new_face():
    node = opened(detector="haar")
    before = faces(run(clip()[:5], node, epoch=0))
    after = faces(run(clip()[:5], node, epoch=1))
    assert {f.track for f in before} == {0}
    assert {f.track for f in after} == {1}


def side_by_side(left, right):
    """Two pictures next to each other, the second made as high as the first."""
    scale = left.shape[0] / right.shape[0]
    return np.hstack([left, cv2.resize(right, None, fx=scale, fy=scale)])


def pasted(image, face, scale):
    """``face`` shrunk by ``scale``, in the lower left of a wide picture whose right is ``image``."""
    wide = np.hstack([empty_room(image), image])
    small = cv2.resize(face, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    wide[-small.shape[0] :, : small.shape[1]] = small
    return wide


def test_of_two_faces_the_one_that_is_followed_stays():
    images = clip()[:60]
    two = [side_by_side(a, a[:, ::-1]) for a in images]
    followed = faces(run(two, opened(detector="haar", detect_every=4, faces=1)))
    assert len(followed) == 60
    assert {f.track for f in followed} == {0}
    x = np.array([f.box[0] for f in followed])
    assert np.ptp(x) < 40


def test_a_much_larger_face_is_taken_up_and_said_to_be_another():
    images = clip()
    node = opened(detector="haar", detect_every=4, min_face=0.1, faces=1)
    alone = [pasted(empty_room(a), a, 0.5) for a in images[:30]]
    joined = [pasted(b, a, 0.5) for a, b in zip(images[:30], images[30:60], strict=True)]
    before = faces(run(alone, node))
    after = faces(run(joined, node, first=30))
    assert {f.track for f in before} == {0}
    assert before[-1].box[2] < 120
    assert after[-1].track == 1
    assert after[-1].box[2] > 120
    assert after[0].track == 0, "not taken up at the first glance"


def by_track(answers):
    tracks = {}
    for f in faces(answers):
        tracks.setdefault(f.track, []).append(f)
    return tracks


def test_two_faces_are_followed_each_under_its_own_number():
    left, right = clip(0)[:60], clip(1)[:60]
    two = [side_by_side(a, b) for a, b in zip(left, right, strict=True)]
    answers = run(two)
    tracks = by_track(answers)
    assert sorted(tracks) == [0, 1]
    assert [len(f) for f in tracks.values()] == [60, 60]
    middle = left[0].shape[1]
    centres = [np.array([f.box[0] + f.box[2] / 2 for f in tracks[track]]) for track in (0, 1)]
    assert all(np.all(x < middle) or np.all(x > middle) for x in centres)
    assert np.all(centres[0] < middle) != np.all(centres[1] < middle)
    # Each mouth is the one that the clip has by itself.
    track = 0 if np.all(centres[0] < middle) else 1
    alone = faces(run(left))
    off = [np.abs(a.mouth.astype(int) - b.mouth).mean() for a, b in zip(tracks[track], alone, strict=True)]
    assert np.median(off) < 6


def test_faces_of_one_picture_share_its_times_and_the_last_says_so():
    two = [side_by_side(a, b) for a, b in zip(clip(0)[:10], clip(1)[:10], strict=True)]
    answers = run(two, epoch=3, first=5)
    assert [f.seq for f in answers] == [n for n in range(5, 15) for _ in range(2)]
    assert [f.last for f in answers] == [False, True] * 10
    assert all(a.t_start_ns == b.t_start_ns for a, b in zip(answers[::2], answers[1::2], strict=True))
    assert {f.epoch for f in answers} == {3}


def test_no_more_faces_are_followed_than_asked_for():
    image = clip(0)[0]
    three = np.hstack([image, clip(1)[0], image[:, ::-1]])
    for most in (1, 2, 3):
        assert len(run([three] * 3, opened(detector="haar", faces=most))[-most:]) == most
        assert len(by_track(run([three] * 3, opened(detector="haar", faces=most)))) == most


def test_one_of_two_faces_leaves_and_the_other_keeps_its_number():
    left, right = clip(0)[:50], clip(1)[:50]
    both = [side_by_side(a, b) for a, b in zip(left, right, strict=True)]
    alone = [side_by_side(a, empty_room(b)) for a, b in zip(left, right, strict=True)]
    node = opened(detector="haar")
    start, gone = by_track(run(both[:20], node)), by_track(run(alone[20:40], node, first=20))
    (stays,) = [track for track, seen in gone.items() if len(seen) == 20]
    assert stays in start
    # Back within a second in the same place, it is the same one.
    back = by_track(run(both[40:], node, first=40))
    assert set(back) == set(start)


def test_a_face_seen_twice_is_one():
    images = clip()[:40]
    node = opened(detector="haar", detect_every=1)
    assert {track: len(seen) for track, seen in by_track(run(images, node)).items()} == {0: 40}


def test_a_mirrored_picture_mirrors_the_face():
    images = clip()[:25]
    plain = faces(run(images))[-1]
    mirrored = faces(run([np.ascontiguousarray(image[:, ::-1]) for image in images]))[-1]
    expected = plain.landmarks[[1, 0, 2, 4, 3]] * (-1, 1) + (images[0].shape[1] - 1, 0)
    assert np.abs(mirrored.landmarks - expected).max() < 3
    assert np.abs(mirrored.mouth[:, ::-1].astype(int) - plain.mouth).mean() < 8


@pytest.mark.parametrize("angle", [-12, 12])
def test_a_leaning_head_is_set_upright(angle):
    images = clip()[:25]
    turn = cv2.getRotationMatrix2D((180, 170), angle, 1.0)
    leaning = [cv2.warpAffine(i, turn, (360, 288), borderMode=cv2.BORDER_REPLICATE) for i in images]
    upright, levelled = faces(run(images))[-1], faces(run(leaning))[-1]
    eyes = levelled.landmarks[1] - levelled.landmarks[0]
    own = upright.landmarks[1] - upright.landmarks[0]
    lean = np.degrees(np.arctan2(eyes[1], eyes[0]) - np.arctan2(own[1], own[0]))
    assert lean == pytest.approx(-angle, abs=3)
    assert np.abs(levelled.mouth[20:68, 20:68].astype(int) - upright.mouth[20:68, 20:68]).mean() < 9


@pytest.mark.parametrize(("x", "y"), [(-30, -12), (23, 9)])
def test_the_crop_does_not_depend_on_where_the_face_is(x, y):
    images = clip()[:25]
    here, there = faces(run(images))[-1], faces(run([shifted(i, x, y) for i in images]))[-1]
    assert np.abs(there.landmarks - here.landmarks - (x, y)).max() < 1.5
    assert np.abs(there.mouth.astype(int) - here.mouth).mean() < 5


@pytest.mark.parametrize("scale", [0.6, 1.7])
def test_the_crop_does_not_depend_on_how_large_the_face_is(scale):
    images = clip()[:25]
    scaled = [cv2.resize(i, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for i in images]
    here, there = faces(run(images))[-1], faces(run(scaled))[-1]
    assert np.abs((there.landmarks + 0.5) / scale - 0.5 - here.landmarks).max() < 2.5
    assert np.abs(there.mouth.astype(int) - here.mouth).mean() < 8


def test_quality_falls_with_each_thing_that_hides_the_lips():
    images = clip()[:16]
    good = faces(run(images))[-1]
    x, y = good.landmarks[3:].mean(axis=0)

    def hand(image):
        covered = image.copy()
        cv2.ellipse(covered, (int(x), int(y)), (42, 26), 0, 0, 360, (90, 120, 160), -1)
        return covered

    worse = {
        "blurred": lambda image: cv2.GaussianBlur(image, (0, 0), 5),
        "dark": lambda image: image // 24,
        "far": lambda image: cv2.resize(image, (108, 86), interpolation=cv2.INTER_AREA),
        "covered": hand,
        "cut off": lambda image: np.ascontiguousarray(image[: int(y) + 4]),
    }
    for name, spoil in worse.items():
        # The face is found while it can be seen, then spoiled; pictures of another size are another stream.
        node = opened(detector="haar")
        run(images, node)
        answers = run(
            [spoil(image) for image in images], node, epoch=int(name in ("far", "cut off")), first=16
        )
        spoiled = [a.quality if isinstance(a, messages.Face) else 0.0 for a in answers[-8:]]
        assert np.median(spoiled) < 0.6 * good.quality, name


def test_after_close_another_stream_may_be_opened():
    node = opened(detector="haar")
    run(clip()[:3], node)
    node.close()
    assert faces(run(clip()[:3], opened(detector="haar")))[0].track == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"detector": "dlib"}, "detector: 'dlib' is none of auto, haar, yunet"),
        ({"detector": "yunet", "yunet": "nowhere.onnx"}, "nowhere.onnx: no YuNet model there"),
        ({"yunet": "nowhere.onnx"}, "nowhere.onnx: no YuNet model there"),
        ({"detect_every": 0}, "detect_every: 0"),
        ({"faces": 0}, "faces: 0 is not a number of faces from 1 to 8"),
        ({"faces": 9}, "faces: 9 is not a number of faces from 1 to 8"),
        ({"min_face": 0.0}, "min_face: 0.0"),
        ({"min_face": 3.0}, "min_face: 3.0"),
    ],
)
def test_a_bad_option_is_one_clear_line(options, message):
    with pytest.raises(UserError, match=message.split("'")[0]) as raised:
        opened(**options)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_no_yunet_is_named(tmp_path):
    file = tmp_path / "broken.onnx"
    file.write_bytes(b"not a model")
    with pytest.raises(UserError, match=r"broken\.onnx: not a YuNet model"):
        opened(detector="yunet", yunet=str(file))


def test_auto_takes_haar_where_no_yunet_was_pulled(tmp_path, monkeypatch):
    monkeypatch.setenv("HEARSEE_MODELS", str(tmp_path))
    assert isinstance(open_detector("auto", "", 0.15), Haar)
    assert len(faces(run(clip()[:5], opened()))) == 5
    with pytest.raises(UserError, match=r"not here; `python launch\.py models pull yunet` brings it"):
        opened(detector="yunet")


def test_auto_takes_yunet_where_it_was_pulled_and_never_another_file(tmp_path, monkeypatch, caplog):
    if not YUNET.is_file():
        pytest.skip(f"{YUNET} is not here")
    monkeypatch.setenv("HEARSEE_MODELS", str(tmp_path / "store"))
    shipped = read_catalogue().models["yunet"]
    this = msgspec.structs.replace(shipped, sha256=sha256_of(YUNET), bytes=YUNET.stat().st_size)
    monkeypatch.setattr(store, "read_catalogue", lambda: Catalogue(models={"yunet": this}))
    shutil.copy(YUNET, tmp_path / this.download)
    assert store.open_store().pull("yunet", str(tmp_path))
    assert isinstance(open_detector("auto", "", 0.15), YuNet)
    assert len(faces(run(clip()[:5], opened()))) == 5
    [file] = store.open_store().find("yunet").values()
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    assert isinstance(open_detector("auto", "", 0.15), Haar)
    assert "not the known file" in caplog.text
    with pytest.raises(UserError, match="not the known file"):
        opened(detector="yunet")


def test_pictures_are_left_as_they_came():
    image = clip()[0].copy()
    image.flags.writeable = False  # as they arrive from the wire
    picture = messages_of([image])[0]
    assert isinstance(picture, Picture)
    [face] = opened(detector="haar").step([picture])
    assert isinstance(face, messages.Face)
    assert np.array_equal(picture.image, clip()[0])
