"""The words of a segment for good: by what is known of the lips when it is complete."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transcribed import (
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
)

from nodes.perception.hindsight import LATER, Choice, Say, trusted

engines = pytest.fixture(scripted, scope="module")

NOBODY = Say(np.zeros(3, np.float32), "a", 1.0)
QUIET, PAUSE = (None, 1.0), (0, 0.16)
COLOURS = [QUIET, (0, 0.64), (2, 0.32), PAUSE, (3, 0.32), PAUSE, (2, 0.32), (None, 1.0)]


def choice(gate, trial=1):
    return Choice(NOBODY, NOBODY, gate, trial)


# Which frames are told with the lips ---------------------------------------------------------------------


def test_lips_known_to_be_good_a_second_later_are_trusted_from_the_start():
    gates = [0.0] * 25 + [0.9] * 25
    assert trusted([choice(gate) for gate in gates]) == [True] * 50


def test_lips_found_out_in_the_end_are_not_trusted_from_the_start():
    assert not any(trusted([choice(gate) for gate in [0.0] * 10 + [1.0] * 10 + [0.2] * 20]))


def test_what_is_known_much_later_says_nothing_of_now():
    found = trusted([choice(gate) for gate in [0.0] * 100 + [1.0] * 20])
    assert found == [False] * (100 - LATER) + [True] * (20 + LATER)


def test_lips_of_another_face_speak_for_themselves():
    one, two = [choice(0.1, 1)] * 10, [choice(0.9, 2)] * 10
    assert trusted([*one, *two]) == [False] * 10 + [True] * 10
    assert trusted([*two, *one]) == [True] * 10 + [False] * 10


def test_lips_before_a_hole_are_judged_by_what_was_known_up_to_it():
    assert trusted([choice(0.9), None, choice(0.1)]) == [True, False, False]


@given(st.lists(st.none() | st.builds(choice, st.floats(0, 1), st.integers(1, 2)), max_size=120))
def test_only_frames_with_a_choice_are_and_none_where_the_gate_was_never_open(choices):
    found = trusted(choices)
    assert len(found) == len(choices)
    assert not any(lips for lips, each in zip(found, choices, strict=True) if each is None)
    assert not any(trusted([each and each._replace(gate=0.0) for each in choices]))


# What is told --------------------------------------------------------------------------------------------


def test_lips_of_somebody_else_spoil_a_partial_at_most(engines):
    other = [QUIET, (1, 0.64), (4, 2.28)]
    out = replay(opened(engines), hear(said(COLOURS)), see(lips(other)))
    check_promises(out)
    assert "red" in transcripts(out)[0].text, "at first nothing is heard, and the lips are believed"
    alone = replay(opened(engines), hear(said(COLOURS)), nothing("face", 4))
    assert finals(out)[0].text == "green blue green"
    assert finals(out)[0].words == finals(alone)[0].words


def test_lips_that_prove_good_tell_the_first_word_too(engines):
    script = [QUIET, (1, 0.12), PAUSE, (2, 0.32), PAUSE, (5, 0.32), PAUSE, (3, 0.32), (None, 1.0)]
    murmur = [(0 if word else word, seconds) for word, seconds in script]
    out = replay(opened(engines), hear(said(murmur)), see(lips(script)))
    check_promises(out)
    assert "red" not in transcripts(out)[0].text.split(), "nobody knows yet how good they are"
    [final] = finals(out)
    assert final.text == "red green two blue"
    assert {word.heard_by for word in final.words} == {"av"}


def test_good_lips_tell_a_word_that_came_before_any_voice_was_heard(engines):
    words = [(2, 0.32), PAUSE, (5, 0.32), PAUSE, (3, 0.32), (None, 1.0)]
    murmur = [(0 if word else word, seconds) for word, seconds in words]
    sound, seen = [QUIET, (None, 0.64), *murmur], [QUIET, (4, 0.24), (0, 0.4), *words]
    out = replay(opened(engines), hear(said(sound)), see(lips(seen)))
    check_promises(out)
    assert not any("now" in m.text.split() for m in transcripts(out)[:-1])
    assert finals(out)[0].text == "now green two blue"
