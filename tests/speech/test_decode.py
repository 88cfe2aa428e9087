"""Decoding: exact on small cases, the same however the frames are cut; grammars with clear mistakes."""

from itertools import groupby, pairwise, product
from math import exp, log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.speech import grammar as grammar_file
from engines.speech.decode import Beam, Greedy, make_decoder
from engines.speech.grammar import load_grammar
from engines.speech.vocabulary import TOKENS, WORDS
from nodes.runtime.errors import UserError

FRAME_NS = 40_000_000
GRAMMARS = Path(grammar_file.__file__).parent / "grammars"
GRID = (GRAMMARS / "grid.jsgf").read_text()


def times(count, first=0):
    return [(first + i) * FRAME_NS for i in range(count + 1)]


def frames(path, tokens=("", "a", "b"), sure=0.9):
    """log_probs [T, V] in which ``path`` names the likely token of each frame, "" for the blank."""
    rest = (1 - sure) / (len(tokens) - 1)
    probs = np.full((len(path), len(tokens)), rest, np.float32)
    for i, name in enumerate(path):
        probs[i, tokens.index(name)] = sure
    return np.log(probs)


def texts(words):
    return [word.text for word in words]


def random_frames(seed, count, tokens, sharpness=2.0):
    logits = np.random.default_rng(seed).normal(0, sharpness, (count, tokens))
    return (logits - np.log(np.exp(logits).sum(1, keepdims=True))).astype(np.float32)


def exact(log_probs):
    """The most probable token sequence, by adding up every alignment there is."""
    count, tokens = log_probs.shape
    totals = {}
    for path in product(range(tokens), repeat=count):
        collapsed = tuple(t for t, _ in groupby(path) if t)
        score = exp(sum(float(log_probs[i, t]) for i, t in enumerate(path)))
        totals[collapsed] = totals.get(collapsed, 0.0) + score
    return max(totals, key=totals.get), totals


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 6))
def test_a_wide_beam_finds_the_most_probable_sequence(seed, count):
    log_probs = random_frames(seed, count, 3)
    _, totals = exact(log_probs)
    words = Beam(("", "a", "b"), beam=200).push(log_probs, times(count), "a")
    found = tuple({"a": 1, "b": 2}[text] for text in texts(words))
    assert totals[found] == pytest.approx(max(totals.values()), rel=1e-5)


def test_the_beam_adds_up_alignments_where_greedy_cannot():
    # Graves 2012: the blank is best in each frame, yet "a" is more probable than nothing.
    log_probs = np.log(np.array([[0.6, 0.4], [0.6, 0.4]], np.float32))
    assert texts(Greedy(("", "a")).push(log_probs, times(2), "a")) == []
    assert texts(Beam(("", "a"), 4).push(log_probs, times(2), "a")) == ["a"]


@pytest.mark.parametrize("decoder", [Greedy(("", "a", "b")), Beam(("", "a", "b"), 8)])
def test_repeated_words_need_a_blank_between(decoder):
    decoder.reset()
    assert texts(decoder.push(frames(["a", "a", "", "a", "b", "b"]), times(6), "a")) == ["a", "a", "b"]
    decoder.reset()
    assert decoder.finish() == []


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), cuts=st.sets(st.integers(1, 29)), beam=st.sampled_from([1, 4]))
def test_the_same_words_however_the_frames_are_cut(seed, cuts, beam):
    log_probs, boundaries = random_frames(seed, 30, 6), times(30)
    tokens = ("", "a", "b", "c", "d", "e")
    whole = make_decoder(tokens, beam=beam)
    whole.push(log_probs, boundaries, "a")
    pieces = make_decoder(tokens, beam=beam)
    edges = [0, *sorted(cuts), 30]
    for start, end in pairwise(edges):
        pieces.push(log_probs[start:end], boundaries[start : end + 1], "a")
    assert pieces.finish() == whole.finish()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), beam=st.sampled_from([1, 4, 8]), sharpness=st.sampled_from([0.5, 3.0]))
def test_words_come_in_order_with_times_inside_the_speech(seed, beam, sharpness):
    words = make_decoder(TOKENS, beam=beam).push(
        random_frames(seed, 40, len(TOKENS), sharpness), times(40, first=100), "av"
    )
    for word in words:
        assert word.t_start_ns < word.t_end_ns <= 140 * FRAME_NS
        assert word.t_start_ns >= (100 - 6) * FRAME_NS
        assert 0 < word.confidence <= 1
        assert word.heard_by == "av"
    for before, after in pairwise(words):
        assert before.t_end_ns <= after.t_start_ns


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_words_that_ended_two_seconds_ago_stay(seed):
    log_probs, decoder = random_frames(seed, 150, 6, 1.0), Beam(("", "a", "b", "c", "d", "e"), 8)
    settled = []
    for i in range(150):
        words = decoder.push(log_probs[i : i + 1], times(1, first=i), "a")
        assert texts(words)[: len(settled)] == settled
        settled = texts(word for word in words if word.t_end_ns < (i - 50) * FRAME_NS)
    assert len(settled) > 5


def test_a_word_lies_before_its_spike_and_says_who_heard_it():
    for decoder in (Greedy(("", "a", "b")), Beam(("", "a", "b"), 8)):
        decoder.push(frames(["", ""] * 5 + ["a", "a"]), times(12), "a")
        words = decoder.push(frames(["", "b", ""]), times(3, first=12), "v")
        times_in_frames = [(w.t_start_ns / FRAME_NS, w.t_end_ns / FRAME_NS, w.heard_by) for w in words]
        # Spikes of [10, 12) and [13, 14), set back; the second word starts where the first one ends.
        assert times_in_frames == [(7.0, 10.5, "a"), (10.5, 12.5, "v")]


def test_confidence_is_the_tempered_posterior():
    log_probs = frames(["a"], sure=0.8)
    assert Greedy(("", "a", "b")).push(log_probs, times(1), "a")[0].confidence == pytest.approx(0.8, abs=1e-3)
    flatter = (0.8**0.5) / (0.8**0.5 + 2 * 0.1**0.5)
    for decoder in (Greedy(("", "a", "b")), Beam(("", "a", "b"), 4)):
        assert decoder.push(log_probs, times(1), "a", 2.0)[0].confidence == pytest.approx(flatter, abs=1e-3)


def test_frames_without_their_boundaries_are_refused():
    with pytest.raises(ValueError, match="2 frames have 3 boundaries, got 2"):
        Greedy(("", "a", "b")).push(frames(["a", "b"]), times(1), "a")


# Grammars ---------------------------------------------------------------------------------------------


def grammar(tmp_path, text, vocabulary=WORDS):
    path = tmp_path / "test.gram"
    path.write_text(text, encoding="utf-8")
    return load_grammar(path, vocabulary)


def allows(grammar, sentence):
    state = grammar.start
    for word in sentence.split():
        state = grammar.step(state, word)
    return grammar.accepts(state)


def test_the_grammars_that_come_with_hearsee_fit_its_model():
    grid = load_grammar(GRAMMARS / "grid.jsgf", WORDS)
    assert grid.words == set(WORDS)
    assert allows(grid, "bin blue at f two now")
    assert not allows(grid, "bin blue at f two")
    digits = load_grammar(GRAMMARS / "digits.txt", WORDS)
    assert allows(digits, "three one four one five")
    assert not allows(digits, "three now")
    digit = load_grammar(GRAMMARS / "digit.jsgf", WORDS)
    assert digit.words == digits.words
    assert allows(digit, "three")
    assert not allows(digit, "three one")
    assert not allows(digit, "")


def test_a_grid_sentence_is_understood_although_one_word_is_misheard(tmp_path):
    path = ["", "set", "", "red", "red", "", "at", "", "b", "", "b", "two", "", "soon", ""]
    log_probs = frames(path, TOKENS, sure=0.6)
    log_probs[10] = np.log(1 / len(TOKENS))
    log_probs[10, TOKENS.index("b")] = log(0.5)  # a second letter, which no sentence has
    free = Beam(TOKENS, 8).push(log_probs, times(len(path)), "a")
    assert texts(free) == ["set", "red", "at", "b", "b", "two", "soon"]
    held = Beam(TOKENS, 8, grammar(tmp_path, GRID))
    held.push(log_probs, times(len(path)), "a")
    assert texts(held.finish()) == ["set", "red", "at", "b", "two", "soon"]


def test_a_word_list_is_all_the_decoder_says(tmp_path):
    only = grammar(tmp_path, "# digits\none two\nthree  # and no more\n")
    log_probs = random_frames(3, 60, len(TOKENS))
    decoder = Beam(TOKENS, 8, only)
    decoder.push(log_probs, times(60), "a")
    words = texts(decoder.finish())
    assert len(words) > 3
    assert set(words) <= {"one", "two", "three"}


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_what_comes_out_is_a_beginning_of_a_sentence_of_the_grammar(tmp_path_factory, seed):
    held = grammar(tmp_path_factory.mktemp("g"), GRID)
    decoder = make_decoder(TOKENS, beam=4, grammar=held)
    decoder.push(random_frames(seed, 40, len(TOKENS)), times(40), "a")
    state = held.start
    for word in decoder.finish():
        state = held.step(state, word.text)
        assert state


@pytest.mark.parametrize(
    ("rule", "yes", "no"),
    [
        ("one two", ["one two"], ["one", "two one", ""]),
        ("one | two three", ["one", "two three"], ["one three", "two"]),
        ("(one | two) three", ["one three", "two three"], ["one two three"]),
        ("one [two] three", ["one three", "one two three"], ["one two two three"]),
        ("one*", ["", "one", "one one one"], ["two"]),
        ("one+ two", ["one two", "one one two"], ["two"]),
        ("(one [two])+", ["one", "one two one"], ["two one", ""]),
        ("ONE Two", ["one two"], ["ONE"]),
    ],
)
def test_what_a_rule_allows(tmp_path, rule, yes, no):
    held = grammar(tmp_path, f"#JSGF V1.0;\npublic <s> = {rule};")
    assert [s for s in yes if not allows(held, s)] == []
    assert [s for s in no if allows(held, s)] == []


def test_every_public_rule_may_be_the_sentence(tmp_path):
    held = grammar(
        tmp_path, "#JSGF V1.0 UTF-8 en;\npublic <a> = one <c>;\npublic <b> = two /* x\n */ <c>;<c> = now;"
    )
    assert allows(held, "one now")
    assert allows(held, "two now")
    assert not allows(held, "now")


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", None, "no words in it"),
        ("one\ntwo wonn\n", 2, "does not know the word 'wonn'; did you mean won?"),
        (
            "#JSGF V1.0;\npublic <s> = one <digits>;\n<digit> = two;",
            2,
            "no rule <digits>; did you mean <digit>?",
        ),
        ("#JSGF V1.0;\npublic <s> = one\n", 2, "; is missing at the end of <s>, before the end of the file"),
        ("#JSGF V1.0;\n\npublic <s> = (one | two;", 3, ") is missing for the ( of line 3, before ;"),
        ("#JSGF V1.0;\npublic <s> = one | ;", 2, "words are missing before ;"),
        ("#JSGF V1.0;\n<s> = one;", None, "no public rule"),
        ("#JSGF V1.0;\npublic <s> = one <s>;", 2, "<s> contains itself"),
        ("#JSGF V1.0;\n<a> = <b>;\n<b> = two <a>;\npublic <s> = <a>;", 3, "<a> contains itself"),
        ("#JSGF V1.0;\npublic <s> = one {tag};", 2, "tags {} cannot be used here"),
        ("#JSGF V1.0;\npublic <s> = /2/ one | two;", 2, "weights cannot be used here"),
        ("#JSGF V1.0;\npublic <s> = one;\npublic <s> = two;", 3, "<s> is there twice"),
        ("#JSGF V1.0;\npublic <s> = " + "(" * 5000 + "one" + ")" * 5000 + ";", 2, "more than 60 deep"),
        ("#JSGF V1.0\npublic <s> = one;", 1, "the first line must be #JSGF V1.0;"),
    ],
)
def test_a_mistake_is_one_line_with_the_place(tmp_path, text, line, says):
    with pytest.raises(UserError) as caught:
        grammar(tmp_path, text, [*WORDS, "won"])
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'test.gram'}:" + (f"{line}: " if line else " "))
    assert says in message
    assert "\n" not in message


def test_rules_that_grow_without_end_are_refused(tmp_path):
    rules = "".join(f"<r{i}> = <r{i + 1}> <r{i + 1}>;\n" for i in range(40))
    with pytest.raises(UserError, match="too large when its rules are written out"):
        grammar(tmp_path, f"#JSGF V1.0;\npublic <s> = <r0>;\n{rules}<r40> = one;")


def test_a_grammar_file_that_is_not_there_or_not_text(tmp_path):
    with pytest.raises(UserError, match="cannot read the grammar"):
        load_grammar(tmp_path / "missing.gram", WORDS)
    (tmp_path / "binary.gram").write_bytes(bytes(range(256)))
    with pytest.raises(UserError, match="not UTF-8"):
        load_grammar(tmp_path / "binary.gram", WORDS)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "public",
                "<a>",
                "<b>",
                "=",
                ";",
                "|",
                "(",
                ")",
                "[",
                "]",
                "*",
                "+",
                "one",
                "two",
                "\n",
                "{",
                "/*",
                "//",
            ]
        ),
        max_size=30,
    )
)
def test_any_text_is_a_grammar_or_one_clear_line(tmp_path_factory, parts):
    message = ""
    try:
        grammar(tmp_path_factory.mktemp("g"), "#JSGF V1.0;\n" + " ".join(parts))
    except UserError as error:
        message = str(error)
    assert "\n" not in message
