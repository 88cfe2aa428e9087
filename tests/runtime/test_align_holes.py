"""What a hole in the sound or the pictures, a restart or a jump of time costs, and what starts anew."""

import numpy as np
from aligned import MS, SECOND, by_time, check_timeline, faces, gap, heard, replay, sound


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


def test_a_jump_of_the_sound_clock_is_a_hole_and_a_small_step_is_not():
    for step_ms, holes in ((15, 0), (60, 1)):
        blocks = sound(2)
        for b in blocks[100:]:
            b.t_start_ns += step_ms * MS
            b.t_end_ns += step_ms * MS
        chunks = replay(by_time(blocks, faces(2)))
        check_timeline(chunks)
        assert sum(chunk.samples is None for chunk in chunks) == holes


def test_pictures_missing_for_more_than_a_chunk_reset_the_video_only():
    seen = [f for f in faces(4) if not 1 * SECOND <= f.t_start_ns < 2 * SECOND]
    missing = [gap("face", 1 + i / 25, 1 + (i + 1) / 25, seq=25 + i) for i in range(25)]
    chunks = replay(by_time(sound(4), seen, missing))
    check_timeline(chunks)
    assert [chunk.video_reset for chunk in chunks if chunk.video_reset] == ["no face for 800 ms"]
    assert np.array_equal(heard(chunks), np.arange(len(chunks) * 2560))
    assert {chunk.epoch for chunk in chunks} == {0}


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
