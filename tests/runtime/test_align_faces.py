"""Which face of a picture is read, and the others that come along."""

from aligned import by_time, check_timeline, drain, faces, replay, sound
from msgspec import structs

from nodes.runtime.align import Aligner
from nodes.runtime.facetrack import identity
from nodes.runtime.node import Context


def many(until_s, tracks, from_s=0.0, **more):
    """Each picture has a face for each of ``tracks``, in this order."""
    rows = zip(*(faces(until_s, from_s=from_s, track=track, **more) for track in tracks), strict=True)
    return [structs.replace(f, last=f is row[-1]) for row in rows for f in row]


def tracks_of(chunk):
    """The track that is read, and those of the others."""

    def track(lane):
        return next((f.track for f in lane if f is not None), None)

    return track(chunk.faces), [track(lane) for lane in chunk.others]


def test_of_several_faces_one_is_read_and_the_others_come_along():
    chunks = replay(by_time(sound(2), many(2, [3, 1, 2])))
    check_timeline(chunks)
    assert {(a, tuple(b)) for a, b in map(tracks_of, chunks)} == {(3, (1, 2))}
    assert all(f is not None for chunk in chunks for lane in (chunk.faces, *chunk.others) for f in lane)
    assert all(
        [f.t_start_ns for f in lane] == [f.t_start_ns for f in chunk.faces]
        for chunk in chunks
        for lane in chunk.others
    )
    assert not any(chunk.video_reset for chunk in chunks)


def test_the_order_of_the_faces_in_a_picture_does_not_change_who_is_read():
    seen = [*many(1, [0, 1]), *many(2, [1, 0], from_s=1)]
    chunks = replay(by_time(sound(2), seen))
    assert {tracks_of(chunk)[0] for chunk in chunks} == {0}
    assert not any(chunk.video_reset for chunk in chunks)


def test_another_face_is_read_from_the_next_chunk_on():
    aligner = Aligner(Context(name="t", live=False))
    aligner.push(by_time(sound(2), many(2, [0, 1])))
    first = aligner.pop()
    aligner.read(identity(first.others[0][0]))
    rest = [chunk for chunk in drain(aligner) if chunk.faces[0] is not None]
    assert [tracks_of(chunk) for chunk in [first, *rest]] == [(0, [1]), *[(1, [0])] * len(rest)]
    assert len(rest) >= 10
    assert [chunk.video_reset for chunk in rest] == ["another face or camera", *[""] * (len(rest) - 1)]
    assert {chunk.epoch for chunk in rest} == {0}


def test_another_face_or_camera_resets_the_video():
    seen = [*faces(2), *faces(4, from_s=2, track=1)]
    chunks = replay(by_time(sound(4), seen))
    assert [chunk.video_reset for chunk in chunks if chunk.video_reset] == ["another face or camera"]


def test_a_face_that_is_read_and_goes_out_of_sight_is_waited_for_during_one_chunk():
    seen = [*many(0.96, [0, 1]), *many(1.12, [1], from_s=0.96), *many(2.08, [0, 1], from_s=1.12)]
    chunks = [tracks_of(chunk) for chunk in replay(by_time(sound(2.08), seen))]
    assert chunks == [(0, [1])] * 6 + [(None, [1])] + [(0, [1])] * 6
    gone = [*many(0.96, [0, 1]), *many(2.08, [1], from_s=0.96)]
    chunks = [tracks_of(chunk) for chunk in replay(by_time(sound(2.08), gone))]
    assert chunks == [(0, [1])] * 6 + [(None, [1])] + [(1, [])] * 6


def test_a_picture_is_known_with_the_last_of_its_faces():
    """Over an edge the faces of one picture may arrive one by one."""
    aligner = Aligner(Context(name="t", live=False))
    *most, last = many(0.16, [0, 1])
    aligner.push([*sound(0.4), *most])
    assert aligner.pop() is None
    aligner.push([last])
    chunk = aligner.pop()
    assert [len([f for f in lane if f]) for lane in (chunk.faces, *chunk.others)] == [4, 4]
