"""What the transcribe node says with no camera, microphone or either, and when one goes and comes back."""

import numpy as np
import pytest
from scripted_engines import TOKENS
from transcribed import (
    MS,
    SECOND,
    check_promises,
    finals,
    gap,
    hear,
    lips,
    modes,
    nothing,
    opened,
    replay,
    said,
    scripted,
    see,
    transcripts,
    voices,
)

from engines.engine import next_state, open_engine, zero_state
from engines.speech.decode import Beam
from engines.speech.features import LogMel
from nodes.perception import recogniser
from nodes.runtime.node import Context

engines = pytest.fixture(scripted, scope="module")


# Without from the start ---------------------------------------------------------------------------------


def sound_alone(engines, samples):
    """The words of the audio engine by itself, in one go."""
    engine, mel = open_engine(engines / "audio.onnx"), LogMel()
    state, rows = zero_state(engine), []
    for i in range(len(samples) // 2560):
        outputs = engine.run({"features": mel.push(samples[i * 2560 : (i + 1) * 2560])[None], **state})
        state = next_state(outputs)
        rows.append(outputs["log_probs"][0])
    log_probs = np.concatenate(rows)
    decoder = Beam(TOKENS, 8)
    decoder.push(log_probs, [i * 40 * MS for i in range(len(log_probs) + 1)], "a")
    return log_probs, [(w.text, w.t_end_ns, w.confidence) for w in decoder.finish()]


@pytest.mark.parametrize("camera", ["none", "useless"])
def test_without_a_camera_it_is_the_audio_model_bit_for_bit(engines, camera, monkeypatch):
    heard = []
    step = recogniser.Recogniser.hear

    def recorded(self, chunk):
        heard.append(step(self, chunk))
        return heard[-1]

    monkeypatch.setattr(recogniser.Recogniser, "hear", recorded)
    faces = nothing("face", 4.2) if camera == "none" else see(lips(), quality=0.1)
    out = replay(opened(engines), hear(said()), faces)
    log_probs, words = sound_alone(engines, said())
    assert np.array_equal(np.concatenate([h.log_probs for h in heard]), log_probs[: 4 * len(heard)])
    final = finals(out)[0]
    assert [(w.text, w.t_end_ns, w.confidence) for w in final.words] == words
    assert {w.heard_by for w in final.words} == {"a"}
    assert modes(out) == [("audio", 0.0)]
    assert final.modalities == {"audio": 1.0, "video": 0.0 if camera == "none" else 0.1}


def test_without_a_microphone_words_come_from_the_lips(engines):
    out = replay(opened(engines), nothing("audio", 4.2), see(lips()))
    check_promises(out)
    assert finals(out)[0].text == "red green two"
    assert {w.heard_by for w in finals(out)[0].words} == {"v"}
    assert modes(out) == [("video", 0.0)]
    assert finals(out)[0].modalities == {"audio": 0.0, "video": 1.0}


def test_with_neither_it_says_so_at_pace_and_nothing_else(engines):
    now = [0]
    node = opened(engines, Context(name="transcribe", now_ns=lambda: now[0]))
    out = []
    for _ in range(500):
        out += node.step([])
        now[0] += 20 * MS
    assert transcripts(out) == []
    assert 55 <= len(out) <= 63
    assert {(v.mode, v.speaking, v.probability) for v in out} == {("none", False, 0.0)}
    assert out[-1].modalities == {"audio": 0.0, "video": 0.0}
    assert now[0] - out[-1].t_end_ns < 300 * MS


# Lost, and back again -----------------------------------------------------------------------------------


def test_faces_that_come_when_their_chunk_has_been_read_are_counted(engines):
    now_ns = 0
    node = opened(engines, Context(name="transcribe", now_ns=lambda: now_ns), wait_ms=80)
    faces = see(lips())
    for m in hear(said()):
        now_ns = m.t_end_ns
        held_up = SECOND <= now_ns < 2 * SECOND
        node.step([m, *([] if held_up else [face for face in faces if face.t_end_ns <= now_ns])])
        faces = faces if held_up else [face for face in faces if face.t_end_ns > now_ns]
    assert 20 <= node.late["face"] <= 25
    assert set(node.late) == {"face"}
    node.close()


def test_a_cut_of_the_sound_is_bridged_by_the_lips(engines):
    out = replay(opened(engines), hear(said(), cut=(1.4, 3.0)), see(lips()))
    check_promises(out)
    (first, _), (lost, at), (back, again) = modes(out)
    assert (first, lost, back) == ("av", "video", "av")
    # Within 300 ms of the cut, in either direction; the chunk in which it is cut is already without sound.
    assert abs(at - 1.4) <= 0.3
    assert 0 <= again - 3.0 <= 0.3
    final = finals(out)[0]
    assert final.text == "red green two"
    assert [w.heard_by for w in final.words] == ["a", "v", "v"]
    assert [v.epoch for v in voices(out)][-1] == 1


def test_a_cut_of_the_picture_changes_no_word(engines):
    out = replay(opened(engines), hear(said()), see(lips(), cut=(1.4, 2.0)))
    check_promises(out)
    (first, _), (lost, at), (back, again) = modes(out)
    assert (first, lost, back) == ("av", "audio", "av")
    assert abs(at - 1.4) <= 0.3
    assert abs(again - 2.0) <= 0.3
    assert finals(out)[0].text == "red green two"
    assert [w.heard_by for w in transcripts(out)[-2].words] == ["av", "a", "a"]
    assert [w.heard_by for w in finals(out)[0].words] == ["a", "a", "a"]
    assert {m.epoch for m in out} == {0}


def test_a_restarted_microphone_ends_the_segment_and_raises_the_epoch(engines):
    script = [(None, 1.0), (1, 0.32), (0, 0.8), (2, 0.32), (None, 1.5)]
    sound = hear(said(script), cut=(1.6, 1.8), epochs=True)
    out = replay(opened(engines), sound, nothing("face", 4))
    check_promises(out)
    assert [(m.text, m.epoch) for m in finals(out)] == [("red", 0), ("green", 1)]


def test_the_end_of_everything_ends_the_segment(engines):
    script = [(None, 0.5), (1, 0.32), (2, 0.32)]
    sound = [
        *hear(said(script)),
        *[gap("audio", (1140 + 40 * i) * MS, (1180 + 40 * i) * MS, 60 + i) for i in range(20)],
    ]
    faces = [
        *see(lips(script)),
        *[gap("face", (1120 + 40 * i) * MS, (1160 + 40 * i) * MS, 60 + i) for i in range(20)],
    ]
    out = replay(opened(engines), sound, faces)
    check_promises(out)
    assert [m.text for m in finals(out)] == ["red green"]


def test_faces_that_hover_about_the_threshold_do_not_flap(engines):
    quality = [0.25 + 0.1 * (i // 4 % 2) for i in range(25)]
    rising = [0.1] * 25 + [0.45] * 25 + quality + [0.1] * 40
    out = replay(opened(engines), hear(said()), see(lips(), quality=rising))
    assert [mode for mode, _ in modes(out)] == ["audio", "av", "audio"]
