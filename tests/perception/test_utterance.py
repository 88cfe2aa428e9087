"""The promises of a segment, whatever the voice and the words do."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.speech.decode import make_decoder
from nodes.perception.hindsight import Choice, Say
from nodes.perception.segmenter import Segmenter, Turn
from nodes.perception.utterance import Frame, Utterances

TOKENS = ("", "a", "b", "c")
FRAME_NS = 40_000_000


def log_probs(word, sure):
    probs = np.full(len(TOKENS), (1 - sure) / 3, np.float32)
    probs[word] = sure
    return np.log(probs)


def frame(i, voice, word=0, sure=0.9, head="a", choice=None):
    given = log_probs(word, sure) if head else None
    return Frame(i * FRAME_NS, (i + 1) * FRAME_NS, voice, given, head, 1.0, choice)


def choice(sound, both, gate):
    """Between two words."""
    return Choice(Say(log_probs(sound, 0.9), "a", 1.0), Say(log_probs(both, 0.9), "av", 1.0), gate, 1)


def utterances(beam=4, **options):
    return Utterances(make_decoder(TOKENS, beam=beam), Segmenter(**options))


def hear(heard, frames, size=4):
    return [news for i in range(0, len(frames), size) for news in heard.hear(frames[i : i + size])]


def script(text):
    """One frame a character: "." silence, "-" voice, "a" to "c" voice and a word, "_" no evidence at all."""
    return [
        frame(i, 0.0 if c in "._" else 0.9, " abc".find(c) if c in "abc" else 0, head="" if c == "_" else "a")
        for i, c in enumerate(text)
    ]


def test_a_word_said_right_at_the_onset_is_not_lost():
    quiet = [frame(i, 0.1) for i in range(8)]
    # The word is spotted three frames before the voice is.
    onset = [frame(8, 0.1), frame(9, 0.1, 1), frame(10, 0.2), frame(11, 0.3), frame(12, 0.9), frame(13, 0.9)]
    tail = [frame(14 + i, 0.0) for i in range(18)]
    news = hear(utterances(), quiet + onset + tail)
    assert [(n.text, n.final) for n in news] == [("a", False), ("a", True)]
    assert news[0].t_start_ns <= 9 * FRAME_NS


def test_words_outside_speech_are_not_said():
    assert hear(utterances(), script("..a..b..c..............")) == []


def test_a_cough_is_no_segment():
    heard = utterances()
    news = hear(heard, script("....-----...................aa-b---.............."))
    assert {n.segment for n in news} == {0}
    assert news[-1].text == "a b"


def test_a_pause_shorter_than_the_hangover_stays_in_the_segment():
    assert hear(utterances(), script("..a--.........b--............"))[-1].text == "a b"
    finals = [n.text for n in hear(utterances(), script("..a--..........b--............")) if n.final]
    assert finals == ["a", "b"]


def test_the_final_tells_when_the_speech_ended():
    final = hear(utterances(), script("....----a--b---............"))[-1]
    assert final.final
    assert final.t_start_ns == 4 * FRAME_NS
    assert final.t_end_ns == 15 * FRAME_NS


def test_a_flush_completes_what_is_open_and_carries_nothing_over():
    heard = utterances()
    before = hear(heard, script("..-a--"))
    cut = heard.flush()
    after = hear(heard, script("-b--............"))
    assert [(n.text, n.final) for n in before + cut] == [("a", False), ("a", True)]
    assert after[-1].text == "b"
    assert after[-1].segment == 1
    assert heard.flush() == []


def test_a_word_found_only_at_the_end_still_has_its_partial():
    news = utterances().hear(script("..-a--.........."))
    assert [(n.text, n.revision, n.final) for n in news] == [("a", 0, False), ("a", 1, True)]


def test_the_hysteresis_of_the_segmenter():
    segmenter = Segmenter(onset=0.6, offset=0.4, min_frames=2, hangover_ms=120)
    turns = [segmenter.push(p) for p in [0.7, 0.5, 0.7, 0.7, 0.5, 0.3, 0.3, 0.45, 0.3, 0.3, 0.3, 0.5]]
    assert [i for i, turn in enumerate(turns) if turn is Turn.STARTED] == [3]
    assert [i for i, turn in enumerate(turns) if turn is Turn.ENDED] == [10]


@settings(max_examples=200, deadline=None)
@given(
    frames=st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.2, 0.45, 0.6, 0.95]),
            st.integers(0, 3),
            st.sampled_from([0.4, 0.7, 0.99]),
            st.sampled_from(["a", "a", "v", "av", ""]),
            st.integers(1, 12),
            st.none()
            | st.builds(choice, st.integers(0, 3), st.integers(0, 3), st.sampled_from([0.0, 0.4, 1.0])),
        ),
        max_size=60,
    ),
    size=st.integers(1, 9),
    flushes=st.sets(st.integers(0, 40), max_size=4),
    beam=st.sampled_from([1, 4]),
)
def test_started_changed_and_completed_exactly_once(frames, size, flushes, beam):
    heard, news = utterances(beam), []
    repeated = [spec for spec in frames for _ in range(spec[4])]
    stream = [frame(i, v, w, s, h, c) for i, (v, w, s, h, _, c) in enumerate(repeated)]
    for count, i in enumerate(range(0, len(stream), size)):
        news += heard.hear(stream[i : i + size])
        if count in flushes:
            news += heard.flush()
            assert not heard.speaking
    news += heard.flush()
    segments = {}
    for item in news:
        segments.setdefault(item.segment, []).append(item)
    assert list(segments) == list(range(len(segments)))
    assert [n.segment for n in news] == sorted(n.segment for n in news)
    for items in segments.values():
        assert [n.revision for n in items] == list(range(len(items)))
        assert [n.final for n in items] == [False] * (len(items) - 1) + [True]
        assert len(items) >= 2
        assert items[0].text
        assert all(a.text != b.text for a, b in pairwise(items[:-1]))
        for n in items:
            assert n.t_start_ns < n.t_end_ns
            assert all(n.t_start_ns <= w.t_start_ns < w.t_end_ns <= n.t_end_ns for w in n.words)
            assert all(a.t_end_ns <= b.t_start_ns for a, b in pairwise(n.words))
