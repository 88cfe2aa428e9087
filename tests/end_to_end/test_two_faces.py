"""Two people in one picture and the voice of one of them, from the file to the words."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from fixtures_media import write

from engines.speech.recordings import read_align, read_sound
from nodes.perception.face import Face
from nodes.perception.transcribe import Transcribe
from nodes.runtime.messages import Transcript, Voice
from nodes.runtime.node import Context
from nodes.sources.media import Media

GRID = Path(__file__).parents[3] / "shared" / "data" / "grid_s1"
# Validation clips (crc32 of the name, modulo 10, is 0).
LEFT, RIGHT = ["bbal8p", "bbbs7a"], ["bbir6n", "bbbf8p"]
PICTURES, RATE = 75, 16_000

pytestmark = pytest.mark.skipif(not GRID.is_dir(), reason="needs the recordings in ../shared/data/grid_s1")


def pictures(names):
    for name in names:
        with av.open(str(GRID / f"{name}.mp4")) as container:
            yield from (picture.to_ndarray(format="bgr24") for picture in container.decode(video=0))


def record(path, left, right, sound):
    """A file of the clips ``left`` beside the clips ``right``, with the sound of the clips ``sound``."""
    pieces = [read_sound(GRID / f"{name}.mp4")[: PICTURES * RATE // 25] for name in sound]
    samples = np.concatenate([np.pad(piece, (0, PICTURES * RATE // 25 - len(piece))) for piece in pieces])
    sides = zip(pictures(left), pictures(right), strict=True)
    both = [
        (i / 25, np.hstack([cv2.resize(image, (360, 288)) for image in pair])) for i, pair in enumerate(sides)
    ]
    return write(path, samples[None], RATE, both)


def play(path):
    """What transcribe tells, and where each face is: the x of its middle, by track."""
    media, face, transcribe = Media(path=str(path), speed=0), Face(), Transcribe()
    for node in (media, face, transcribe):
        node.open(Context(name=type(node).__name__.lower(), live=False))
    told, places = [], {}
    while not media.finished:
        for message in media.step([]):
            passed = face.step([message]) if message.port == "picture" else [message]
            for seen in passed:
                if hasattr(seen, "box"):
                    places.setdefault(seen.track, seen.box[0] + seen.box[2] / 2)
            told += transcribe.step(passed)
    for node in (media, face, transcribe):
        node.close()
    return told, places


def words(names):
    return [word for name in names for word, _, _ in read_align(GRID / f"{name}.align")]


def heard(told):
    return [word for m in told if isinstance(m, Transcript) and m.final for word in m.words]


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_one_who_speaks_is_read_word_for_word(side, tmp_path):
    speaks = {"left": LEFT, "right": RIGHT}[side][:1]
    told, places = play(record(tmp_path / "two.mp4", LEFT[:1], RIGHT[:1], speaks))
    (left, right) = sorted(places, key=lambda track: places[track])
    speaker, other = (left, right) if side == "left" else (right, left)
    assert [w.text for w in heard(told)] == words(speaks)
    assert {m.mode for m in told if isinstance(m, Transcript) and m.final} == {"av"}
    assert [m.face for m in told if isinstance(m, Transcript) and m.final] == [speaker]
    verdicts = [m.faces for m in told if isinstance(m, Voice) and m.speaking]
    assert verdicts[-1] == {speaker: True, other: False}
    assert all(v[other] is not True for v in verdicts)
    offsets = [
        m.sync_error_ms for m in told if isinstance(m, Voice) and m.face == speaker and m.sync_error_ms
    ]
    assert offsets
    assert abs(np.median(offsets)) <= 40


def test_the_reading_follows_the_voice_from_one_to_the_other(tmp_path):
    sound = [LEFT[0], RIGHT[1]]
    told, places = play(record(tmp_path / "turns.mp4", LEFT, RIGHT, sound))
    left, right = sorted(places, key=lambda track: places[track])
    assert [w.text for w in heard(told)] == words(sound)
    assert [m.face for m in told if isinstance(m, Transcript) and m.final] == [left, right]
    speaking = [(m.t_start_ns < 3e9, m.faces) for m in told if isinstance(m, Voice) and m.speaking]
    assert [faces for first, faces in speaking if first][-1] == {left: True, right: False}
    assert [faces for first, faces in speaking if not first][-1] == {left: False, right: True}
