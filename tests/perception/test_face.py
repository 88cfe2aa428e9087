"""What the face node answers to a picture: the face that is in it, or a gap that says why not."""

import cv2
import numpy as np
import pytest
from faces_of import TALKER, clip, faces, messages_of, opened, pictures_of, run

from nodes.runtime import messages
from nodes.runtime.messages import FRAME_NS, Gap, Picture


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


def test_the_talker_is_found_without_any_download():
    if not TALKER.is_file():
        pytest.skip(f"{TALKER} is not made yet")
    images = pictures_of(TALKER)
    found = faces(run(images, opened(detector="haar")))
    assert len(found) > 0.97 * len(images)
    assert np.median([face.quality for face in found]) > 0.5


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


def test_pictures_are_left_as_they_came():
    image = clip()[0].copy()
    image.flags.writeable = False  # as they arrive from the wire
    picture = messages_of([image])[0]
    assert isinstance(picture, Picture)
    [face] = opened(detector="haar").step([picture])
    assert isinstance(face, messages.Face)
    assert np.array_equal(picture.image, clip()[0])


def test_after_close_another_stream_may_be_opened():
    node = opened(detector="haar")
    run(clip()[:3], node)
    node.close()
    assert faces(run(clip()[:3], opened(detector="haar")))[0].track == 0
