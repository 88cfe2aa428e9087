"""Works side by side ask together, wait a few milliseconds at most, and for nobody who does not come."""

import threading
import time

import pytest

from nodes.runtime.abreast import Abreast, ask


@pytest.fixture
def abreast():
    made = Abreast("test", 4)
    yield made
    made.close()


class Adder:
    """Answers with one more than it was asked; ``sizes`` is how many asked at a time."""

    def __init__(self):
        self.sizes = []

    def answer(self, values):
        self.sizes.append(len(values))
        return [value + 1 for value in values]


def test_outside_of_works_side_by_side_it_is_answered_at_once():
    adder = Adder()
    assert ask(adder.answer, 1) == 2
    assert adder.sizes == [1]


@pytest.fixture
def patient(monkeypatch):
    """So long that nothing but the others decides when it is answered, on a busy machine too."""
    monkeypatch.setattr("nodes.runtime.abreast.WAIT_S", 60.0)


def test_all_that_ask_are_answered_at_once_each_with_its_own(abreast, patient):
    adder = Adder()
    assert abreast.run([lambda i=i: ask(adder.answer, i) for i in range(4)]) == [1, 2, 3, 4]
    assert adder.sizes == [4]


def test_who_is_done_is_not_waited_for(abreast, patient):
    adder = Adder()
    assert abreast.run([lambda: ask(adder.answer, 1), lambda: "nothing to ask"]) == [2, "nothing to ask"]
    assert adder.sizes == [1]


def test_who_takes_long_is_not_waited_for(abreast):
    adder, late = Adder(), threading.Event()

    def slow():
        assert late.wait(10)
        return ask(adder.answer, 10)

    def quick():
        made = ask(adder.answer, 1)
        late.set()  # it has been answered while the other had not even asked
        return made

    assert abreast.run([quick, slow]) == [2, 11]
    assert adder.sizes == [1, 1]


def test_several_questions_after_each_other_each_find_their_answer(abreast):
    adders = [Adder(), Adder()]

    def work(i):  # at each step half of them ask the one, half the other
        value = i
        for step in range(50):
            value = ask(adders[(i + step) % 2].answer, value)
        return value

    assert abreast.run([lambda i=i: work(i) for i in range(4)]) == [50, 51, 52, 53]
    assert sum(adders[0].sizes) + sum(adders[1].sizes) == 200


def test_an_error_comes_to_all_who_asked_and_the_next_run_is_as_ever(abreast):
    def answer(values):
        raise ValueError("broken")

    def work():
        with pytest.raises(ValueError, match="broken"):
            ask(answer, 0)
        return "went on"

    assert abreast.run([work, work]) == ["went on"] * 2
    with pytest.raises(ValueError, match="broken"):
        abreast.run([lambda: ask(answer, 0), lambda: 1])
    assert abreast.run([lambda: 1, lambda: 2, lambda: 3]) == [1, 2, 3]


def test_its_threads_end_with_it():
    before = threading.active_count()
    made = Abreast("test", 3)
    assert made.run([lambda: 1]) == [1]
    made.close()
    deadline = time.monotonic() + 5
    while threading.active_count() > before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
