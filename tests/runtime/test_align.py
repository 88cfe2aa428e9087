"""Alignment as a user of it sees it: messages in at any pace and order, chunks out on one timeline."""

import numpy as np
import pytest
from aligned import MS, SECOND, by_time, check_faces, check_timeline, drain, face, faces, heard, replay, sound
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.runtime.align import Aligner
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


def test_pictures_that_begin_long_before_the_sound_are_not_lost():
    chunks = replay(by_time(sound(2, from_s=0.9), faces(2, from_s=0.1)))
    check_timeline(chunks)
    assert chunks[0].t_start_ns == 100 * MS
    assert [chunk.samples is None for chunk in chunks[:7]] == [True] * 5 + [False] * 2
    assert chunks[5].t_start_ns == 900 * MS
    assert not any(None in chunk.faces for chunk in chunks[:-1])


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


def test_drops_are_counted_by_name():
    aligner = Aligner(Context(name="transcribe", live=False))
    messages = by_time(sound(1), faces(1))
    aligner.push(messages)
    aligner.push(messages[-1:])
    drain(aligner)
    aligner.push(messages[:2])
    assert aligner.dropped["audio"]["late"] + aligner.dropped["face"]["late"] == 2
    assert sum(aligner.dropped["audio"].values()) + sum(aligner.dropped["face"].values()) == 3


def test_a_first_block_that_was_overtaken_is_late_not_misplaced():
    blocks, seen = sound(1, block=256), faces(1, phase_ns=-19 * MS)
    chunks = replay([blocks[1], seen[0], blocks[0], *by_time(blocks[2:], seen[1:])])
    check_timeline(chunks)
    assert chunks[0].t_start_ns == 16 * MS
    assert np.array_equal(heard(chunks), np.arange(256, 256 + len(chunks) * 2560))


# Any rate, any clock ------------------------------------------------------------------------------


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
