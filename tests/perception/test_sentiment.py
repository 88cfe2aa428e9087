"""The sentiment node on the talker's clip, with the shipped engines: who is heard, cuts, and clear errors."""

import shutil
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from engines.sentiment.emotions import EMOTIONS
from nodes.perception.experts import Fused, Opinion
from nodes.perception.face import Face as FaceNode
from nodes.perception.people import MOST, People
from nodes.perception.person import SECOND, STEP, Person
from nodes.perception.sentiment import WEIGHTS, Sentiment
from nodes.perception.transcribe import Transcribe
from nodes.runtime.errors import UserError
from nodes.runtime.messages import Audio, Gap, Picture, Voice
from nodes.runtime.node import Context
from nodes.sources.media import Media

TALKER = Path(__file__).parents[2] / "nodes" / "sources" / "talker" / "talker.mp4"


@pytest.fixture(scope="module")
def messages():
    """The clip's pictures and sound."""
    source, taken = Media(path=str(TALKER), speed=0), []
    source.open(Context(name="media", live=False))
    deadline = time.monotonic() + 60
    while not source.finished and time.monotonic() < deadline:
        taken += source.step([]) or [time.sleep(0.005)]
    source.close()
    return [message for message in taken if message is not None]


def play(messages, cut=None, after_s=1.5):
    """Through fresh nodes; from ``after_s`` on the port ``cut`` has only gaps."""
    face, transcribe, sentiment = FaceNode(), Transcribe(), Sentiment()
    for name, node in (("face", face), ("transcribe", transcribe), ("sentiment", sentiment)):
        node.open(Context(name=name, live=False, wired=frozenset(node.inputs)))
    start, out = messages[0].t_start_ns, []
    for message in messages:
        if message.port == cut and message.t_start_ns - start > after_s * SECOND:
            times = {
                key: getattr(message, key) for key in ("stream", "seq", "epoch", "t_start_ns", "t_end_ns")
            }
            message = Gap(**times, of=cut, reason="cut")
        told = [message, *face.step([message])]
        out += sentiment.step([*told, *transcribe.step(told)])
    return out


@pytest.fixture(scope="module")
def whole(messages):
    return play(messages)


def test_it_tells_at_least_twice_a_second_from_all_three(messages, whole):
    seconds = (max(m.t_end_ns for m in messages) - messages[0].t_start_ns) / SECOND
    assert len(whole) / seconds > 2
    assert [m.seq for m in whole] == list(range(len(whole)))
    assert {m.face for m in whole} == {0}, "one person, from beginning to end"
    late = whole[len(whole) // 2]
    assert all(late.modalities[name] > 0 for name in ("face", "voice", "words"))
    for m in whole:
        assert m.emotion in EMOTIONS
        assert sum(m.emotions.values()) == pytest.approx(1, abs=0.01)
        assert sum(m.modalities.values()) == pytest.approx(1, abs=0.01)
        assert -1 <= m.valence <= 1
        assert all(0 <= value <= 1 for value in m.confidence.values())


@pytest.mark.parametrize(("cut", "gone"), [(Picture.port, ("face",)), (Audio.port, ("voice",))])
def test_when_a_device_goes_its_share_fades_and_nothing_jumps(messages, cut, gone):
    out = play(messages, cut=cut)
    assert max(abs(a.valence - b.valence) for a, b in pairwise(out)) < 0.3
    assert out[3].modalities[gone[0]] > 0
    assert all(out[-1].modalities[name] == 0 for name in gone)
    assert len({m.face for m in out}) == 1, "the same person goes on"


def test_a_missing_model_is_one_line(tmp_path):
    for name in ("face", "words", "fusion"):
        shutil.copy(WEIGHTS / f"{name}.onnx", tmp_path)
    with pytest.raises(UserError, match=r"voice\.onnx: no such model file") as error:
        Sentiment(weights=str(tmp_path)).open(Context(name="sentiment"))
    assert "\n" not in str(error.value)


class Scripted:
    """In place of the engines: fuses to whatever emotion it is told."""

    def __init__(self, emotion):
        self.emotion = emotion

    def fuse(self, opinions):
        certain = np.zeros(7, np.float32)
        certain[EMOTIONS.index(self.emotion)] = 1
        return Fused(certain, np.array([0.95 if self.emotion == "happy" else -0.9, 0]), {})


def opinion():
    return Opinion(np.zeros(7, np.float32), np.zeros(2, np.float32), np.zeros(64, np.float32))


def test_the_worst_flip_moves_valence_by_less_than_three_tenths():
    person, experts, told = Person(), Scripted("happy"), []
    for i in range(40):
        experts.emotion = "happy" if i < 10 else "sad"
        person.learn("face", opinion(), 1.0, i * SECOND // 3)
        person.answer(experts, i * SECOND // 3)
        told.append((float(person.affect[0]), person.emotion))
    jumps = [abs(a[0] - b[0]) for a, b in pairwise(told)]
    assert max(jumps) <= STEP * 1.85 + 1e-6
    names = [name for _, name in told]
    assert names.index("sad") > 11, "one wavering message names nothing"
    assert names == ["happy"] * names.index("sad") + ["sad"] * (40 - names.index("sad"))


def test_evidence_fades_and_then_there_is_no_answer():
    person = Person()
    person.learn("face", opinion(), 0.8, 0)
    left = [person.present(int(t * SECOND))["face"] for t in (0, 0.4, 1.0, 1.6, 9)]
    assert left == pytest.approx([0.8, 0.8, 0.4, 0, 0])
    assert person.answer(Scripted("sad"), 9 * SECOND) is None


def voice(speaking, face=None, faces=None):
    return Voice(
        stream="transcribe",
        seq=0,
        epoch=0,
        t_start_ns=0,
        t_end_ns=1,
        speaking=speaking,
        probability=1.0,
        mode="av",
        modalities={},
        sync_error_ms=None,
        face=face,
        faces=faces or {},
    )


def test_a_voice_keeps_its_state_when_its_face_turns_up_and_when_it_goes():
    people, one = People(), ("camera", 0, 4)
    assert people.speaker(voice(True), [], 0) is None
    unseen = people.of(None, 0)
    assert people.speaker(voice(True, 4, {4: True}), [one], SECOND) == one
    assert people.of(one, SECOND) is unseen
    assert people.speaker(voice(True), [], 2 * SECOND) == one, "out of sight, still speaking"


def test_another_face_must_speak_for_some_chunks_before_it_is_the_speaker():
    people, one, two = People(), ("camera", 0, 1), ("camera", 0, 2)
    people.speaker(voice(True, 1, {1: True}), [one, two], 0)
    others = [
        people.speaker(voice(True, 2, {1: False, 2: True}), [one, two], i * SECOND // 6) for i in range(4)
    ]
    assert others == [one, one, two, two]


def test_a_crowd_is_not_remembered_for_ever():
    people = People()
    for i in range(50):
        people.of(("camera", 0, i), i * SECOND // 10)
        people.forget(i * SECOND // 10)
    assert len(people.known()) == MOST
    people.forget(100 * SECOND)
    assert people.known() == []
