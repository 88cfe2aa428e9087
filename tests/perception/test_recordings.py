"""The shipped recogniser on real recordings it was not trained on: GRID clips kept for validation."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from engines.speech.score import word_error_rate
from nodes.perception.face import Face
from nodes.perception.transcribe import WEIGHTS, Transcribe
from nodes.runtime.messages import Gap, Transcript, Voice
from nodes.runtime.node import Context
from nodes.sources.media import Media

GRID = Path(__file__).parents[3] / "shared" / "data" / "grid_s1"
# Of those whose name's crc32 is a multiple of ten, as nothing else may be in training.
CLIPS = ["bbal8p", "bbbf8p", "bbbs7a", "bbir6n"]

pytestmark = [
    pytest.mark.skipif(not GRID.is_dir(), reason="needs the recordings in ../shared/data/grid_s1"),
    pytest.mark.skipif(not (WEIGHTS / "fusion.onnx").is_file(), reason="needs trained weights"),
]


def labels(name):
    """(word, start ns, end ns) of a clip; 1000 units of its .align are a picture of 40 ms."""
    lines = [line.split() for line in (GRID / f"{name}.align").read_text().splitlines()]
    return [(w, int(a) * 40_000, int(b) * 40_000) for a, b, w in lines if w not in ("sil", "sp")]


def evidence(name, cut=()):
    """The sound of a clip and its faces, as source and face node give them."""
    media, face = Media(path=str(GRID / f"{name}.mp4"), speed=0, cut=cut), Face()
    for node in (media, face):
        node.open(Context(name=type(node).__name__.lower(), live=False))
    sound, faces = [], []
    while not media.finished:
        for message in media.step([]):
            if message.port == "audio":
                sound.append(message)
            else:
                faces += face.step([message])
    for node in (media, face):
        node.close()
    return sound, faces


def pipeline(sound, faces):
    """What transcribe says, chunk by chunk."""
    node = Transcribe()
    node.open(Context(name="transcribe", live=False))
    out = [m for message in sorted([*sound, *faces], key=lambda m: m.t_end_ns) for m in node.step([message])]
    node.close()
    return out


def missing(messages):
    return [
        Gap(
            stream=m.stream,
            seq=m.seq,
            epoch=m.epoch,
            t_start_ns=m.t_start_ns,
            t_end_ns=m.t_end_ns,
            of=m.port,
            reason="not used",
        )
        for m in messages
    ]


def final_words(out):
    return [word for m in out if isinstance(m, Transcript) and m.final for word in m.words]


@pytest.fixture(scope="module")
def clips():
    return {name: evidence(name) for name in CLIPS}


@pytest.fixture(scope="module")
def both(clips):
    return {name: pipeline(*clip) for name, clip in clips.items()}


def percent_wrong(outputs):
    references = [[word for word, _, _ in labels(name)] for name in outputs]
    return word_error_rate(references, [[w.text for w in final_words(o)] for o in outputs.values()]).percent


def test_sound_and_lips_are_understood(both):
    assert percent_wrong(both) <= 5


def test_sound_alone_is_understood(clips):
    assert (
        percent_wrong({name: pipeline(sound, missing(faces)) for name, (sound, faces) in clips.items()}) <= 10
    )


def test_lips_alone_are_read_far_better_than_by_chance(clips):
    out = {name: pipeline(missing(sound), faces) for name, (sound, faces) in clips.items()}
    assert percent_wrong(out) <= 40
    assert {w.heard_by for o in out.values() for w in final_words(o)} == {"v"}


def test_words_are_where_they_were_said(both):
    off = [
        (word.t_start_ns - start, word.t_end_ns - end)
        for name in CLIPS
        if [w.text for w in final_words(both[name])] == [w for w, _, _ in labels(name)]
        for word, (_, start, end) in zip(final_words(both[name]), labels(name), strict=True)
    ]
    assert len(off) >= 12
    assert np.percentile(np.abs(off), 80) <= 80e6


def test_the_final_comes_at_most_700_ms_after_the_last_word(both):
    for name, out in both.items():
        heard_ns = 0
        for message in out:
            heard_ns = message.t_end_ns if isinstance(message, Voice) else heard_ns
            if isinstance(message, Transcript) and message.final:
                # The final leads the Voice of the chunk that it was settled by.
                assert heard_ns + 160e6 - labels(name)[-1][2] <= 700e6


def offsets(out):
    return [m.sync_error_ms for m in out if isinstance(m, Voice) and m.sync_error_ms is not None]


@pytest.mark.parametrize("late_ms", [-120, 0, 120])
def test_the_offset_of_sound_and_picture_is_measured(clips, late_ms):
    sound, faces = clips[CLIPS[0]]
    late = [
        structs.replace(f, t_start_ns=f.t_start_ns + late_ms * 10**6, t_end_ns=f.t_end_ns + late_ms * 10**6)
        for f in faces
    ]
    told = offsets(pipeline(sound, late))
    assert len(told) >= 5
    assert np.median(told) == pytest.approx(late_ms, abs=40)


def test_whoever_speaks_is_told_to_and_has_an_offset_in_every_clip(both):
    for name, out in both.items():
        assert any(True in m.faces.values() for m in out if isinstance(m, Voice)), name
        assert offsets(out), name


def test_lips_that_say_something_else_are_hardly_ever_given_an_offset(clips):
    mixed = [pipeline(clips[name][0], clips[other][1]) for name, other in pairwise(CLIPS)]
    assert sum(len(offsets(out)) for out in mixed) <= 3
    assert sum(isinstance(m, Voice) for out in mixed for m in out) >= 70


def test_a_cut_in_a_real_clip_changes_the_mode_and_back():
    out = pipeline(*evidence(CLIPS[0], cut=("audio 1.2-1.8",)))
    modes = [(m.mode, m.t_start_ns) for m in out if isinstance(m, Voice)]
    changes = [modes[0]] + [b for a, b in pairwise(modes) if a[0] != b[0]]
    assert [mode for mode, _ in changes][:3] == ["av", "video", "av"]
    assert abs(changes[1][1] - 1.2e9) <= 300e6
    assert abs(changes[2][1] - 1.8e9) <= 300e6
