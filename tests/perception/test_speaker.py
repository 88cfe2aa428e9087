"""Which face speaks, from embeddings of voice and lips that belong together or do not."""

import numpy as np
import pytest
from test_sync import moving

from nodes.perception.recogniser import Evidence
from nodes.perception.speaker import INSISTENCE, Speakers
from nodes.perception.sync import TOGETHER

ANNA, BEN = ("camera", 0, 0), ("camera", 0, 1)
ONSET = 0.5


def evidence(vectors, i, voice=0.9, there=True):
    return Evidence(vectors[4 * i : 4 * i + 4], np.full(4, voice), np.full(4, there))


class Scene:
    """Chunks of 4 frames in which the sound is that of ``who``, and everybody's lips say what they say."""

    def __init__(self):
        self.speakers = Speakers(ONSET)
        self.says = {ANNA: moving(1, 400, 1), BEN: moving(2, 400, 1)}
        self.i = 0
        self.read = ANNA
        self.reads = []

    def run(self, chunks, who, seen=(ANNA, BEN), voice=0.9, anew=False):
        for _ in range(chunks):
            sound = evidence(self.says[who], self.i, voice) if who else None
            lips = {face: evidence(self.says[face], self.i) for face in seen}
            self.speakers.push(sound, lips, anew=anew)
            self.read = self.speakers.choose(self.read)
            self.reads.append(self.read)
            self.i += 1
        return self.speakers.speaking(voice >= ONSET)


def test_the_face_whose_lips_go_with_the_voice_speaks_and_the_other_does_not():
    scene = Scene()
    assert scene.run(3, ANNA) == {ANNA: None, BEN: None}, "told too soon"
    assert scene.run(12, ANNA) == {ANNA: True, BEN: False}
    assert set(scene.reads) == {ANNA}


def test_who_is_read_follows_who_speaks_and_insists_before_it_changes():
    scene = Scene()
    scene.run(15, ANNA)
    scene.run(15, BEN)
    scene.run(15, ANNA)
    assert [scene.reads[i] for i in (14, 29, 44)] == [ANNA, BEN, ANNA]
    changes = [i for i in range(1, 45) if scene.reads[i] != scene.reads[i - 1]]
    assert len(changes) == 2, "the choice flaps"
    assert all(change - begun <= 10 for change, begun in zip(changes, (15, 30), strict=True)), (
        "2 s are too long"
    )
    assert INSISTENCE > 1


def test_in_silence_nobody_speaks_and_the_same_face_is_read():
    scene = Scene()
    scene.run(15, BEN)
    assert scene.run(20, ANNA, voice=0.1) == {ANNA: False, BEN: False}
    assert scene.read == BEN


def test_a_voice_that_is_nobodys_leaves_the_reading_where_it_is():
    scene = Scene()
    scene.says["radio"] = moving(3, 400, 1)
    told = scene.run(20, "radio")
    assert set(scene.reads) == {ANNA}
    assert told == {ANNA: False, BEN: False}


def test_one_face_alone_is_read_whoever_speaks():
    scene = Scene()
    assert scene.run(20, BEN, seen=(ANNA,)) == {ANNA: False}
    assert set(scene.reads) == {ANNA}


def test_without_sound_lips_that_move_as_in_speech_speak():
    speakers, vectors = Speakers(ONSET), moving(1, 8, 1)
    lips = {ANNA: evidence(vectors, 0, voice=0.8), BEN: evidence(vectors, 0, voice=0.2)}
    speakers.push(None, lips)
    assert speakers.speaking(True) == {ANNA: True, BEN: False}
    assert speakers.choose(BEN) == BEN


def test_a_face_out_of_sight_for_one_chunk_is_remembered_and_for_two_is_not():
    scene = Scene()
    scene.run(14, BEN)
    scene.run(1, BEN, seen=(ANNA,))
    assert scene.run(1, BEN)[BEN] is True
    scene.run(2, BEN, seen=(ANNA,))
    assert scene.run(1, BEN)[BEN] is None


@pytest.mark.parametrize("anew", [True, False])
def test_sound_that_starts_anew_forgets_what_was_heard(anew):
    scene = Scene()
    scene.run(15, ANNA)
    assert scene.run(1, ANNA, anew=anew)[ANNA] is (None if anew else True)


def test_the_offset_is_that_of_the_face_that_is_asked_for():
    scene = Scene()
    scene.says[BEN] = np.roll(scene.says[ANNA], 3, axis=0)
    scene.run(20, ANNA)
    assert scene.speakers.error_ms(ANNA) == pytest.approx(0, abs=10)
    assert scene.speakers.error_ms(BEN) == pytest.approx(120, abs=10)
    assert scene.speakers.error_ms(None) is None
    assert scene.speakers.error_ms(("camera", 0, 9)) is None
    assert scene.speakers.agreements()[BEN] > TOGETHER
