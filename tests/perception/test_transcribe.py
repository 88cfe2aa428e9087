"""The transcribe node as a pipeline runs it, on engines that do as the test says (see scripted_engines)."""

from itertools import pairwise

import numpy as np
import pytest
from msgspec import structs

from engines.engine import next_state, open_engine, zero_state
from engines.speech.decode import Beam
from engines.speech.features import LogMel
from nodes.perception import recogniser
from nodes.perception.recogniser import CARRY_ON
from nodes.perception.transcribe import Transcribe
from nodes.runtime.errors import UserError
from nodes.runtime.messages import Audio, Face, Gap, Transcript, Voice
from nodes.runtime.node import Context
from tests.perception.scripted_engines import (
    TOKENS,
    mouth,
    tone,
    write_audio,
    write_engines,
    write_fusion,
    write_video,
)

MS = 1_000_000
SECOND = 1_000 * MS
# Seconds of each word of the sentence everybody says here; None is silence, 0 a voice that says nothing.
SENTENCE = [(None, 1.0), (1, 0.32), (0, 0.16), (2, 0.32), (0, 0.16), (5, 0.32), (None, 2.0)]
SPEECH_START, SPEECH_END = 1.0, 2.28


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    return write_engines(tmp_path_factory.mktemp("engines"))


def said(script=SENTENCE):
    """float32 samples of a script of (word, seconds)."""
    return np.concatenate([tone(word, seconds) for word, seconds in script])


def lips(script=SENTENCE):
    """Mouths of a script at 25 Hz."""
    return [mouth(word) for word, seconds in script for _ in range(round(seconds * 25))]


def gap(of, start_ns, end_ns, seq, epoch=0):
    return Gap(stream="x", seq=seq, epoch=epoch, t_start_ns=start_ns, t_end_ns=end_ns, of=of, reason="cut")


def hear(samples, cut=(9, 9), epochs=False, block=320):
    """Audio messages of 20 ms; Gaps between the seconds of ``cut``, then a new epoch if ``epochs``."""
    out = []
    for i in range(len(samples) // block):
        start, end = (round(n * block / 16_000 * SECOND) for n in (i, i + 1))
        if cut[0] * SECOND <= start < cut[1] * SECOND:
            out.append(gap("audio", start, end, i))
            continue
        out.append(
            Audio(
                stream="microphone",
                seq=i,
                epoch=int(epochs and start >= cut[1] * SECOND),
                t_start_ns=start,
                t_end_ns=end,
                samples=samples[i * block : (i + 1) * block],
            )
        )
    return out


def see(mouths, cut=(9, 9), quality=1.0):
    out = []
    for i, picture in enumerate(mouths):
        start, end = i * 40 * MS, (i + 1) * 40 * MS
        if cut[0] * SECOND <= start < cut[1] * SECOND:
            out.append(gap("face", start, end, i))
            continue
        out.append(
            Face(
                stream="camera",
                seq=i,
                epoch=0,
                t_start_ns=start,
                t_end_ns=end,
                mouth=picture,
                face=np.zeros((64, 64), np.uint8),
                box=(0.0, 0.0, 1.0, 1.0),
                landmarks=np.zeros((5, 2), np.float32),
                quality=quality[i] if isinstance(quality, list) else quality,
                track=0,
            )
        )
    return out


def nothing(of, seconds):
    return [gap(of, i * 40 * MS, (i + 1) * 40 * MS, i) for i in range(round(seconds * 25))]


def opened(engines, context=None, **options):
    node = Transcribe(weights=str(engines), **options)
    node.open(context or Context(name="transcribe", live=False))
    return node


def replay(node, *tracks):
    messages = sorted((m for track in tracks for m in track), key=lambda m: m.t_end_ns)
    out = [result for m in messages for result in node.step([m])]
    node.close()
    return out


def transcripts(out):
    return [m for m in out if isinstance(m, Transcript)]


def finals(out):
    return [m for m in transcripts(out) if m.final]


def voices(out):
    return [m for m in out if isinstance(m, Voice)]


def modes(out):
    """(mode, first t_start) of each stretch of one mode."""
    found = []
    for voice in voices(out):
        if not found or found[-1][0] != voice.mode:
            found.append((voice.mode, voice.t_start_ns / SECOND))
    return found


def check_promises(out):
    """What nodes.perception.utterance writes down, as a subscriber would check it."""
    for port in (transcripts(out), voices(out)):
        assert [m.seq for m in port] == list(range(len(port)))
        assert [m.epoch for m in port] == sorted(m.epoch for m in port)
    by_segment = {}
    for m in transcripts(out):
        by_segment.setdefault(m.segment, []).append(m)
    assert list(by_segment) == list(range(len(by_segment)))
    for news in by_segment.values():
        assert [m.revision for m in news] == list(range(len(news)))
        assert [m.final for m in news] == [False] * (len(news) - 1) + [True]
        assert len(news) >= 2
        partials = [m.text for m in news[:-1]]
        assert all(a != b for a, b in pairwise(partials))
        for m in news:
            assert m.text == " ".join(word.text for word in m.words)
            assert all(m.t_start_ns <= w.t_start_ns < w.t_end_ns <= m.t_end_ns for w in m.words)


# What it says -----------------------------------------------------------------------------------------


def test_words_appear_one_by_one_and_then_for_good(engines):
    out = replay(opened(engines), hear(said()), see(lips()))
    check_promises(out)
    assert [m.text for m in transcripts(out)] == ["red", "red green", "red green two", "red green two"]
    final = finals(out)[0]
    assert final.mode == "av"
    assert final.t_start_ns / SECOND == pytest.approx(SPEECH_START, abs=0.13)
    assert final.t_end_ns / SECOND == pytest.approx(SPEECH_END, abs=0.09)
    assert [round(w.t_end_ns / SECOND, 2) for w in final.words] == pytest.approx([1.26, 1.74, 2.22], abs=0.05)
    assert all(w.confidence > 0.9 for w in final.words)
    # Lips have a say until the sound is known to be heard well.
    assert [w.heard_by for w in final.words] == ["av", "a", "a"]
    assert final.modalities == {"audio": 1.0, "video": 0.0}, "heard well, the lips have no say"


def test_voice_comes_for_every_chunk(engines):
    out = replay(opened(engines), hear(said()), see(lips()))
    chunks = voices(out)
    assert len(chunks) == 26
    assert all(a.t_end_ns == b.t_start_ns for a, b in pairwise(chunks))
    spoken = [v for v in chunks if v.speaking]
    assert spoken[0].t_start_ns / SECOND == pytest.approx(SPEECH_START, abs=0.17)
    assert max(v.probability for v in chunks) > 0.9
    assert min(v.probability for v in chunks) < 0.1


def test_two_sentences_are_two_segments(engines):
    script = [*SENTENCE, (4, 0.32), (3, 0.32), (None, 1.0)]
    out = replay(opened(engines), hear(said(script)), see(lips(script)))
    check_promises(out)
    assert [m.text for m in finals(out)] == ["red green two", "now blue"]


@pytest.mark.parametrize("seen", [True, False], ids=["lips", "lips late"])
def test_stopped_in_the_middle_of_a_sentence_it_tells_what_was_heard_for_good(engines, seen):
    node = opened(engines)
    sound, faces = hear(said())[:100], see(lips())[: 50 if seen else 40]  # until 2 s, in "two"
    out = [result for m in sorted(sound + faces, key=lambda m: m.t_end_ns) for result in node.step([m])]
    assert not finals(out)
    out += node.flush()
    check_promises(out)
    assert [m.text for m in finals(out)] == ["red green"]
    assert voices(out)[-1].t_end_ns / SECOND == pytest.approx(2.0, abs=0.17)
    node.close()


def test_stopped_in_silence_it_tells_nothing_more(engines):
    node = opened(engines)
    for message in sorted(hear(said()) + see(lips()), key=lambda m: m.t_end_ns):
        node.step([message])
    assert transcripts(node.flush()) == transcripts(node.flush()) == []
    node.close()


def test_the_same_messages_in_another_interleaving_give_the_same_transcript(engines):
    sound, faces = hear(said()), see(lips())
    together = replay(opened(engines), sound, faces)
    node = opened(engines)
    apart = [m for track in (sound[:150], faces, sound[150:]) for m in node.step(track)]
    assert apart == together


def test_the_final_comes_at_most_700_ms_after_the_speech(engines):
    now = [0]
    node = opened(engines, Context(name="transcribe", now_ns=lambda: now[0]))
    waiting = sorted([*hear(said()), *see(lips())], key=lambda m: m.t_end_ns)
    came = None
    while came is None and now[0] < 5 * SECOND:
        due = [m for m in waiting if m.t_end_ns + 20 * MS <= now[0]]
        waiting = waiting[len(due) :]
        if finals(node.step(due)):
            came = now[0]
        now[0] += 20 * MS
    assert came is not None
    assert came / SECOND - SPEECH_END <= 0.7


def test_lips_have_their_say_where_the_sound_tells_nothing(engines):
    script = [*SENTENCE, (3, 0.48), *SENTENCE]
    murmur = [(0 if word else word, seconds) for word, seconds in script]
    out = replay(opened(engines), hear(said(murmur)), see(lips(script)))
    words = [word for m in finals(out) for word in m.words]
    assert [word.text for word in words][-3:] == ["red", "green", "two"]
    assert {word.heard_by for word in words} == {"av"}
    assert max(m.modalities["video"] for m in finals(out)) > 0.9
    assert finals(replay(opened(engines), hear(said(murmur)), nothing("face", 9.0))) == []


def test_a_grammar_rules_out_what_cannot_be(engines, tmp_path):
    path = tmp_path / "colours.gram"
    path.write_text("red green blue")
    out = replay(opened(engines, grammar=str(path)), hear(said()), see(lips()))
    assert finals(out)[0].text == "red green"


def test_a_speech_without_end_is_cut_after_30_seconds(engines):
    script = [(1, 0.32), (0, 0.32), (3, 0.32), (0, 0.32)] * 30 + [(None, 1.0)]
    out = replay(opened(engines), hear(said(script)), nothing("face", 40))
    check_promises(out)
    assert len(finals(out)) == 2
    assert sum(len(m.words) for m in finals(out)) == 60


# What it does without the camera, the microphone, or both ---------------------------------------------


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


# What it does when something goes away and comes back -----------------------------------------------------


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
    assert [w.heard_by for w in final.words] == ["av", "v", "v"]
    assert [v.epoch for v in voices(out)][-1] == 1


def test_a_cut_of_the_picture_changes_no_word(engines):
    out = replay(opened(engines), hear(said()), see(lips(), cut=(1.4, 2.0)))
    check_promises(out)
    (first, _), (lost, at), (back, again) = modes(out)
    assert (first, lost, back) == ("av", "audio", "av")
    assert abs(at - 1.4) <= 0.3
    assert abs(again - 2.0) <= 0.3
    assert finals(out)[0].text == "red green two"
    assert [w.heard_by for w in finals(out)[0].words] == ["av", "a", "a"]
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


class Recorder:
    """An engine that notes how many chunks its state has seen each time it is run."""

    def __init__(self, path, require=None):
        self.engine = open_engine(path, require)
        self.inputs, self.outputs = self.engine.inputs, self.engine.outputs
        self.metadata, self.backend = self.engine.metadata, self.engine.backend
        self.seen = []

    def run(self, feeds):
        self.seen.append(int(feeds["state_seen"][0, 0]))
        return self.engine.run(feeds)


@pytest.fixture
def recorded(monkeypatch):
    made = {}

    def opening(path, require=None):
        made[path.stem] = Recorder(path, require)
        return made[path.stem]

    monkeypatch.setattr(Transcribe, "opener", opening)
    return made


def test_engines_run_only_on_evidence_and_start_anew_after_a_hole(engines, recorded):
    sound, faces = hear(said(), cut=(3.2, 3.7)), see(lips(), cut=(0.8, 1.6))
    out = replay(opened(engines), sound, faces)
    chunks = len(voices(out))
    # 25 chunks; sound is missing in chunks 20 to 23, faces in 5 to 9.
    assert recorded["audio"].seen == [*range(20), *range(chunks - 24)]
    assert recorded["video"].seen == [*range(5), *range(chunks - 10)]
    assert recorded["fusion"].seen == [*range(20), *range(chunks - 24)]


def test_one_missing_chunk_resets_nothing(engines, recorded):
    out = replay(opened(engines), hear(said(), cut=(1.62, 1.64)), see(lips(), cut=(2.4, 2.56)))
    chunks = len(voices(out))
    assert recorded["audio"].seen == [*range(chunks - 1)]
    assert recorded["video"].seen == [*range(chunks - 1)]
    assert recorded["fusion"].seen == [*range(chunks - 1)]


def test_lips_that_stay_away_leave_the_words_to_the_audio_engine(engines, recorded):
    script = [*SENTENCE, *SENTENCE]
    out = replay(opened(engines), hear(said(script)), see(lips(script), cut=(0.8, 5.6)))
    # Chunks 0 to 4 with lips, two seconds more without them; from chunk 35 on with lips again.
    assert recorded["fusion"].seen == [*range(5 + CARRY_ON - 1), *range(len(voices(out)) - 35)]


# How the offset between sound and picture is told -----------------------------------------------------


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


# Which of several faces is read -------------------------------------------------------------------------


def talk(seed, seconds=5.0):
    """Random words back to back, after half a second and before one of silence."""
    rng = np.random.default_rng(seed)
    lengths = rng.choice([0.16, 0.24], round(seconds / 0.2))
    return [(None, 0.48), *((int(rng.integers(1, 6)), float(s)) for s in lengths), (None, 1.0)]


def crowd(*scripts):
    """Faces of tracks 0, 1, ... that say their scripts, in one picture."""
    rows = zip(*(see(lips(script)) for script in scripts), strict=False)
    return [
        structs.replace(f, track=track, last=track == len(scripts) - 1)
        for row in rows
        for track, f in enumerate(row)
    ]


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


def test_each_face_keeps_its_own_state_while_another_is_read(engines, recorded):
    replay(opened(engines), hear(said(talk(1))), crowd(talk(2), talk(1)))
    seen = recorded["video"].seen
    assert len(seen) >= 60
    assert seen == [i for i in range(len(seen) // 2) for _ in range(2)]
    fused = recorded["fusion"].seen
    assert fused.count(0) == 2, "the fusion starts anew with the other face, once"


def test_what_was_read_says_nothing_of_a_face_where_none_is_read(engines):
    out = replay(opened(engines), hear(said()), see(lips(), cut=(1.4, 4.0)))
    assert {v.face for v in voices(out) if v.mode == "audio"} == {None}
    assert {v.face for v in voices(out) if v.mode == "av"} == {0}
    assert all(v.faces == {} for v in voices(out) if v.mode == "audio")


# Models and options that cannot be used ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (lambda d: (d / "video.onnx").unlink(), "video.onnx: no such model file"),
        (lambda d: (d / "audio.onnx").write_bytes(b"not a model"), "audio.onnx: not a model"),
        (lambda d: (d / "audio.onnx").write_bytes(b""), "audio.onnx: not a model"),
        (
            lambda d: write_audio(d / "video.onnx"),
            "video.onnx: input mouths must be uint8[1, 4, 88, 88], is missing",
        ),
        (
            lambda d: write_video(d / "audio.onnx"),
            "audio.onnx: input features must be float32[1, 16, 80], is missing",
        ),
        (
            lambda d: write_audio(d / "audio.onnx", tokens=None),
            "audio.onnx: its metadata has no list of tokens",
        ),
        (lambda d: write_audio(d / "audio.onnx", tokens=["", "a"]), "audio.onnx: output log_probs must be"),
        (lambda d: write_video(d / "video.onnx", tokens=[*"abcdef"]), "video.onnx: knows other words"),
        (
            lambda d: write_fusion(d / "fusion.onnx", temperature="hot"),
            "fusion.onnx: its metadata has temperature",
        ),
        (
            lambda d: write_fusion(d / "fusion.onnx", frames=8),
            "fusion.onnx: input audio must be float32[1, 4, 6], is float32",
        ),
    ],
)
def test_a_model_file_that_is_not_what_it_must_be_is_one_line(tmp_path, broken, says):
    write_engines(tmp_path)
    broken(tmp_path)
    with pytest.raises(UserError) as caught:
        opened(tmp_path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"beam": 0}, "beam 0"),
        ({"wait_ms": -1}, "wait_ms -1"),
        ({"onset": 0.3, "offset": 0.6}, "offset not above onset"),
        ({"hangover_ms": 10}, "hangover_ms 10"),
    ],
)
def test_an_option_that_makes_no_sense_is_one_line(options, says):
    with pytest.raises(UserError, match=says):
        Transcribe(**options)


def test_a_grammar_with_an_unknown_word_is_one_line(engines, tmp_path):
    path = tmp_path / "bad.gram"
    path.write_text("red\ngren\n")
    with pytest.raises(
        UserError, match=r"bad.gram:2: the model does not know the word 'gren'; did you mean green?"
    ):
        opened(engines, grammar=str(path))
