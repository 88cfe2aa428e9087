"""Whose lips the transcribe node reads, and how late they are against the sound."""

import numpy as np
import pytest
from transcribed import (
    MS,
    check_promises,
    crowd,
    finals,
    hear,
    lips,
    nothing,
    opened,
    replay,
    said,
    scripted,
    see,
    talk,
    voices,
)

engines = pytest.fixture(scripted, scope="module")


@pytest.mark.parametrize("late_ms", [-80, 0, 120])
def test_the_sync_error_is_how_late_the_picture_is(engines, late_ms):
    rng = np.random.default_rng(0)
    script = [
        (int(w), float(s)) for w, s in zip(rng.integers(1, 6, 30), rng.choice([0.16, 0.24], 30), strict=True)
    ]
    faces = see(lips(script))
    for f in faces:
        f.t_start_ns += late_ms * MS
        f.t_end_ns += late_ms * MS
    out = replay(opened(engines), hear(said(script)), [f for f in faces if f.t_start_ns >= 0])
    assert voices(out)[3].sync_error_ms is None
    assert voices(out)[-1].sync_error_ms == pytest.approx(late_ms, abs=20)


def test_no_sync_error_without_a_picture(engines):
    out = replay(opened(engines), hear(said()), nothing("face", 4.2))
    assert {m.sync_error_ms for m in out} == {None}


def test_of_two_faces_the_one_that_says_what_is_heard_is_read(engines):
    out = replay(opened(engines), hear(said(talk(1))), crowd(talk(2), talk(1)))
    check_promises(out)
    read = [v.face for v in voices(out) if v.mode == "av"]
    assert read[0] == 0, "the most prominent one until more is known"
    switched = read.index(1)
    assert switched * 0.16 < 2.5
    assert set(read[switched:]) == {1}
    assert finals(out)[-1].face == 1
    told = [v.faces for v in voices(out) if v.speaking]
    assert told[0] == {0: None, 1: None}
    assert told[-1] == {0: False, 1: True}
    assert voices(out)[-1].faces in ({}, {0: False, 1: False})
    assert {m.epoch for m in out} == {0}, "the sound goes on, so does the segment"


def test_with_one_face_nobody_contests(engines):
    out = replay(opened(engines), hear(said(talk(1))), see(lips(talk(2))))
    assert {v.face for v in voices(out) if v.mode == "av"} == {0}
    assert [v.faces for v in voices(out) if v.speaking][-1] == {0: False}


def test_what_was_read_says_nothing_of_a_face_where_none_is_read(engines):
    out = replay(opened(engines), hear(said()), see(lips(), cut=(1.4, 4.0)))
    assert {v.face for v in voices(out) if v.mode == "audio"} == {None}
    assert {v.face for v in voices(out) if v.mode == "av"} == {0}
    assert all(v.faces == {} for v in voices(out) if v.mode == "audio")
