"""What the transcribe node says of a sentence that is heard and seen, on scripted engines."""

from itertools import pairwise

import pytest
from transcribed import (
    MS,
    SECOND,
    SENTENCE,
    SPEECH_END,
    SPEECH_START,
    check_promises,
    finals,
    hear,
    lips,
    nothing,
    opened,
    replay,
    said,
    scripted,
    see,
    transcripts,
    voices,
)

from nodes.runtime.node import Context

engines = pytest.fixture(scripted, scope="module")


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
    # Lips have a say until the sound is known to be heard well; for good the words are those of the sound.
    assert [w.heard_by for w in transcripts(out)[-2].words] == ["av", "a", "a"]
    assert [w.heard_by for w in final.words] == ["a", "a", "a"]
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
    assert [word.text for word in words] == ["red", "green", "two", "blue", "red", "green", "two"]
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
