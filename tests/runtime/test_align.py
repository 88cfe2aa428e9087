"""Alignment as a user of it sees it: messages in at any pace and order, chunks out on one timeline."""

import numpy as np
import pytest
from aligned import (
    MS,
    SECOND,
    Live,
    arriving,
    by_time,
    check_faces,
    check_timeline,
    drain,
    face,
    faces,
    gap,
    heard,
    replay,
    sound,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from nodes.runtime.align import Aligner
from nodes.runtime.facetrack import identity
from nodes.runtime.messages import CHUNK_NS, FRAME_NS, Audio
from nodes.runtime.node import Context

# What a chunk is ----------------------------------------------------------------------------------


def test_a_chunk_is_four_frames_of_sound_with_the_pictures_nearest_to_them():
    chunks = replay(by_time(sound(1), faces(1, phase_ns=7 * MS)))
    assert len(chunks) == 6
    check_timeline(chunks)
    assert np.array_equal(heard(chunks), np.arange(6 * 2560))
    assert [f.t_start_ns for f in chunks[1].faces] == [(160 + 7 + 40 * i) * MS for i in range(4)]
    assert {chunk.epoch for chunk in chunks} == {0}


def test_frame_times_follow_the_host_clock_not_the_sample_count():
    chunks = replay(by_time(sound(10, rate=1.01), faces(11)))
    assert chunks[-1].t_end_ns - chunks[0].t_start_ns == pytest.approx(len(chunks) * CHUNK_NS * 1.01, abs=2)
    assert np.array_equal(heard(chunks), np.arange(len(chunks) * 2560))


def test_the_epoch_goes_on_from_the_one_the_process_starts_with():
    aligner = Aligner(Context(name="transcribe", epoch=7, live=False))
    aligner.push(by_time(sound(1), faces(1)))
    assert {chunk.epoch for chunk in drain(aligner)} == {7}


# Holes --------------------------------------------------------------------------------------------


def test_a_short_gap_costs_the_chunks_it_touches_and_resets_nothing():
    blocks = sound(2)
    blocks[50:52] = [gap("audio", 0.50, 0.52, seq=51)]
    chunks = replay(by_time(blocks, faces(2)))
    check_timeline(chunks)
    assert [chunk.samples is None for chunk in chunks[:6]] == [False, False, False, True, False, False]
    assert not any(chunk.audio_reset for chunk in chunks)
    # The sound after the hole is on the timeline again to the sample.
    assert chunks[4].samples[0] == round(chunks[4].t_start_ns * 16_000 / SECOND)


def test_a_gap_that_costs_two_chunks_resets_the_sound():
    blocks = sound(2)
    blocks[50:70] = [gap("audio", 0.50, 0.70, seq=60)]
    chunks = replay(by_time(blocks, faces(2)))
    check_timeline(chunks)
    assert [chunk.samples is None for chunk in chunks[:7]] == [False] * 3 + [True] * 2 + [False] * 2
    assert [chunk.audio_reset for chunk in chunks if chunk.audio_reset] == ["no sound for 320 ms"]


def test_a_long_gap_resets_the_sound_and_loses_nothing_of_the_picture():
    blocks = [*sound(1), *[gap("audio", 1 + i / 25, 1 + (i + 1) / 25, seq=100 + i) for i in range(25)]]
    blocks += sound(4, from_s=2, seq=125)
    chunks = replay(by_time(blocks, faces(4)))
    check_timeline(chunks)
    assert [chunk.audio_reset for chunk in chunks if chunk.audio_reset] == ["no sound for 1120 ms"]
    assert not any(chunk.video_reset for chunk in chunks)
    assert all(f is not None for chunk in chunks for f in chunk.faces)
    assert [chunk.epoch for chunk in chunks] == sorted(chunk.epoch for chunk in chunks)
    assert chunks[-1].epoch == 1


def test_a_hole_nobody_declared_is_found_by_the_sequence_numbers():
    blocks = [b for b in sound(2) if b.seq != 40]
    chunks = replay(by_time(blocks, faces(2)))
    check_timeline(chunks)
    assert [i for i, chunk in enumerate(chunks) if chunk.samples is None] == [2]
    assert set(heard(chunks).astype(int)) <= set(np.concatenate([b.samples for b in blocks]).astype(int))


def test_pictures_missing_for_more_than_a_chunk_reset_the_video_only():
    seen = [f for f in faces(4) if not 1 * SECOND <= f.t_start_ns < 2 * SECOND]
    missing = [gap("face", 1 + i / 25, 1 + (i + 1) / 25, seq=25 + i) for i in range(25)]
    chunks = replay(by_time(sound(4), seen, missing))
    check_timeline(chunks)
    assert [chunk.video_reset for chunk in chunks if chunk.video_reset] == ["no face for 800 ms"]
    assert np.array_equal(heard(chunks), np.arange(len(chunks) * 2560))
    assert {chunk.epoch for chunk in chunks} == {0}


def test_another_face_or_camera_resets_the_video():
    seen = [*faces(2), *faces(4, from_s=2, track=1)]
    chunks = replay(by_time(sound(4), seen))
    assert [chunk.video_reset for chunk in chunks if chunk.video_reset] == ["another face or camera"]


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


def test_a_microphone_that_restarts_is_a_new_epoch():
    blocks = [*sound(1), *sound(3, from_s=1.3, epoch=1)]
    chunks = replay(by_time(blocks, faces(3)))
    check_timeline(chunks)
    resets = [(chunk.audio_reset, chunk.epoch) for chunk in chunks if chunk.audio_reset]
    assert resets == [("microphone restarted", 1)]
    assert all(f is not None for chunk in chunks for f in chunk.faces)


def test_time_that_falls_back_with_a_restarted_source_starts_the_timeline_anew():
    first = by_time(sound(3), faces(3))
    second = by_time(sound(3, epoch=1), faces(3, epoch=1))
    chunks = replay([*first, *second])
    assert sum(chunk.jumped for chunk in chunks) == 1
    check_timeline(chunks)
    again = [chunk for chunk in chunks if chunk.epoch == 1]
    assert again[0].t_start_ns == 0
    assert again[0].audio_reset == again[0].video_reset == "the timeline jumped"
    assert np.array_equal(heard(again), np.arange(len(again) * 2560))


def test_an_hour_of_nothing_is_skipped_not_filled():
    late = 3600
    blocks = [*sound(1), *sound(late + 1, from_s=late, seq=100)]
    seen = [*faces(1), *faces(late + 1, from_s=late)]
    chunks = replay(by_time(blocks, seen))
    check_timeline(chunks)
    assert len(chunks) < 20
    assert sum(chunk.jumped for chunk in chunks) == 1


# Late, duplicate, reordered -----------------------------------------------------------------------


def test_what_comes_twice_or_out_of_order_changes_nothing():
    plain = by_time(sound(2), faces(2))
    shuffled = list(plain)
    for i in range(0, len(shuffled) - 3, 3):
        shuffled[i], shuffled[i + 2] = shuffled[i + 2], shuffled[i]
    expected = replay(plain)
    # A block or a picture swapped with its neighbour may only be released later, never differently.
    got = replay([m for m in shuffled for m in (m, m)])
    assert np.array_equal(heard(got), heard(expected)[: len(heard(got))])
    assert len(got) >= len(expected) - 1


@pytest.mark.parametrize("wired", ["audio", "face"])
def test_an_input_that_nothing_is_connected_to_is_not_waited_for(wired):
    track = sound(2) if wired == "audio" else faces(2)
    aligner = Aligner(Context(name="transcribe", live=False, wired=frozenset({wired})))
    chunks = []
    for message in track:
        aligner.push([message])
        chunks += drain(aligner)
    check_timeline(chunks)
    assert len(chunks) == 12
    if wired == "audio":
        assert np.array_equal(heard(chunks), np.arange(12 * 2560))
    else:
        assert not any(None in chunk.faces for chunk in chunks)


def test_a_microphone_alone_never_waits():
    live = Live(wired=frozenset({"audio"}))
    released = live.run(arriving(sound(2)), until_s=2.1)
    assert max(at - chunk.t_end_ns for at, chunk in released) <= 30 * MS


def test_drops_are_counted_by_name():
    aligner = Aligner(Context(name="transcribe", live=False))
    messages = by_time(sound(1), faces(1))
    aligner.push(messages)
    aligner.push(messages[-1:])
    drain(aligner)
    aligner.push(messages[:2])
    assert aligner.dropped["audio"]["late"] + aligner.dropped["face"]["late"] == 2
    assert sum(aligner.dropped["audio"].values()) + sum(aligner.dropped["face"].values()) == 3


def test_pictures_that_begin_long_before_the_sound_are_not_lost():
    chunks = replay(by_time(sound(2, from_s=0.9), faces(2, from_s=0.1)))
    check_timeline(chunks)
    assert chunks[0].t_start_ns == 100 * MS
    assert [chunk.samples is None for chunk in chunks[:7]] == [True] * 5 + [False] * 2
    assert chunks[5].t_start_ns == 900 * MS
    assert not any(None in chunk.faces for chunk in chunks[:-1])


def test_a_first_block_that_was_overtaken_is_late_not_misplaced():
    blocks, seen = sound(1, block=256), faces(1, phase_ns=-19 * MS)
    chunks = replay([blocks[1], seen[0], blocks[0], *by_time(blocks[2:], seen[1:])])
    check_timeline(chunks)
    assert chunks[0].t_start_ns == 16 * MS
    assert np.array_equal(heard(chunks), np.arange(256, 256 + len(chunks) * 2560))


def test_a_jump_of_the_sound_clock_is_a_hole_and_a_small_step_is_not():
    for step_ms, holes in ((15, 0), (60, 1)):
        blocks = sound(2)
        for b in blocks[100:]:
            b.t_start_ns += step_ms * MS
            b.t_end_ns += step_ms * MS
        chunks = replay(by_time(blocks, faces(2)))
        check_timeline(chunks)
        assert sum(chunk.samples is None for chunk in chunks) == holes


def test_of_several_pictures_the_nearest_is_taken():
    chunks = replay(by_time(sound(2), faces(2, fps=60)))
    distances = [
        abs(f.t_start_ns - frame_ns)
        for chunk in chunks
        for f, frame_ns in zip(chunk.faces, chunk.frames_ns, strict=True)
    ]
    assert max(distances) <= SECOND / 120 + 1


@pytest.mark.parametrize("fps", [15, 24, 25, 29.97, 30, 60])
def test_any_camera_rate(fps):
    chunks = replay(by_time(sound(10), faces(10, fps=fps, phase_ns=11 * MS)))
    check_timeline(chunks)
    check_faces(chunks)
    filled = sum(f is not None for chunk in chunks for f in chunk.faces) / (4 * len(chunks))
    # A frame is empty only where the camera has no picture within 20 ms of it.
    assert filled >= min(1.0, fps / 25) - 0.02


@settings(max_examples=60, deadline=None)
@given(
    fps=st.sampled_from([15, 24, 25, 29.97, 30, 60]),
    block=st.sampled_from([80, 160, 256, 441, 1024, 2560, 4000]),
    phase_ms=st.integers(-50, 120),
    ppm=st.integers(-200, 200),
    jitter=st.lists(st.integers(-4 * MS, 4 * MS), max_size=60),
    lost=st.sets(st.integers(0, 300), max_size=12),
    swaps=st.lists(st.integers(0, 500), max_size=20),
    doubled=st.sets(st.integers(0, 500), max_size=20),
    unseen=st.sets(st.integers(0, 100), max_size=30),
)
def test_every_sample_comes_once_or_is_missing_and_every_picture_fits(
    fps, block, phase_ms, ppm, jitter, lost, swaps, doubled, unseen
):
    blocks = [b for b in sound(4, block=block, rate=1 + ppm / 1e6) if b.seq not in lost]
    seen = [f for f in faces(4, fps=fps, phase_ns=phase_ms * MS, jitter=jitter) if f.seq not in unseen]
    messages = by_time(blocks, seen)
    for i in swaps:
        if i + 1 < len(messages):
            messages[i], messages[i + 1] = messages[i + 1], messages[i]
    messages = [m for i, m in enumerate(messages) for m in [m] * (1 + (i in doubled))]
    chunks = replay(messages)
    check_timeline(chunks)
    check_faces(chunks)
    for chunk in chunks:
        if chunk.samples is not None:
            assert np.array_equal(np.diff(chunk.samples), np.ones(2559)), (
                "samples that do not follow each other"
            )
            # The first sample is the one that sounded at the chunk's start by the host's clock.
            at = chunk.t_start_ns * 16_000 / SECOND / (1 + ppm / 1e6)
            assert abs(chunk.samples[0] - at) <= 0.51
    samples = heard(chunks)
    assert len(np.unique(samples)) == len(samples)
    if not lost and not swaps:
        first = chunks[0].samples is None
        assert not any(chunk.samples is None for chunk in chunks[int(first) :])
    # Nothing is held back: at most what one camera period, one block and one chunk can hide.
    assert not chunks or chunks[-1].t_end_ns > messages[-1].t_end_ns - CHUNK_NS - SECOND


@pytest.mark.parametrize("ppm", [-200, 200])
def test_clocks_200_ppm_apart_for_two_hours_stay_together(ppm):
    """The sound's own clock gains or loses 1.4 s on the host's over the two hours."""
    aligner = Aligner(Context(name="transcribe", live=False))
    block_ns = 160 * MS * (1 + ppm / 1e6)
    samples, picture, worst, matched, frames = np.zeros(2560, np.float32), 0, 0, 0, 0
    for i in range(int(7200 * SECOND / block_ns)):
        start = i * block_ns
        aligner.push(
            [
                Audio(
                    stream="microphone",
                    seq=i,
                    epoch=0,
                    t_start_ns=round(start),
                    t_end_ns=round(start + block_ns),
                    samples=samples,
                )
            ]
        )
        while picture * FRAME_NS < start + block_ns:
            aligner.push([face(picture * FRAME_NS, picture)])
            picture += 1
        for chunk in drain(aligner):
            assert chunk.samples is not None
            for frame_ns, seen in zip(chunk.frames_ns, chunk.faces, strict=True):
                frames += 1
                if seen is not None:
                    matched += 1
                    worst = max(worst, abs(seen.t_start_ns - frame_ns))
    assert frames > 179_000
    assert worst <= 20 * MS
    assert matched >= frames - 40  # a frame without a picture each time the clocks slip by one
