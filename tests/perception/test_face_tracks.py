"""Which face it is: one that leaves and returns, and several in one picture."""

import cv2
import numpy as np
import pytest
from faces_of import clip, empty_room, faces, gaps, opened, run


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


def test_a_face_seen_twice_is_one():
    images = clip()[:40]
    node = opened(detector="haar", detect_every=1)
    assert {track: len(seen) for track, seen in by_track(run(images, node)).items()} == {0: 40}


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


def by_track(answers):
    tracks = {}
    for f in faces(answers):
        tracks.setdefault(f.track, []).append(f)
    return tracks


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
