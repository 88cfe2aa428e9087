"""Real processes that work, hang, starve and are suspended, as the supervisor sees them from outside."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nodes.runtime import stillness
from nodes.runtime.pulse import Pulse
from nodes.runtime.stillness import TURN_S, Stillness

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a process waits for"),
]

LOOP = """
import sys, threading, time
from nodes.runtime.pulse import Pulse
pulse = Pulse.at(sys.argv[1])
pulse.announce(threading.get_native_id())
while True:
    pulse.beat()
    {step}
"""


@pytest.fixture
def looping():
    """Starts a process that does ``step`` again and again; gives its pulse, once it beats, and itself."""
    begun = []

    def start(step):
        pulse = Pulse.shared()
        command = [sys.executable, "-c", LOOP.format(step=step), pulse.path]
        begun.append(subprocess.Popen(command, cwd=Path(__file__).parents[2]))
        until_s = time.monotonic() + 20
        while not (pulse.pid and pulse.due_ns < 2**62):
            assert time.monotonic() < until_s
            time.sleep(0.01)
        return pulse, begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.wait(5)


def watched(still, seconds, turn_s=TURN_S):
    """The longest that the loop was found still, over so many seconds of turns."""
    found_s, looked_s = [], time.monotonic()
    until_s = looked_s + seconds
    while looked_s < until_s:
        time.sleep(turn_s)
        now_s = time.monotonic()
        found_s.append(still.look(now_s - looked_s))
        looked_s = now_s
    return max(found_s)


def test_a_loop_that_comes_round_is_not_still(looping):
    pulse, _ = looping("time.sleep(0.02)")
    still = Stillness(pulse)
    assert watched(still, 1.0) < 2 * TURN_S
    assert not still.suspended


def test_one_that_waits_for_ever_is_still_for_as_long_as_it_does(looping):
    pulse, _ = looping("time.sleep(1000)")
    still = Stillness(pulse)
    found_s = watched(still, 2.0)
    assert 0.5 < found_s < 2.5, "what a busy machine kept from it does not count"
    assert not still.suspended


def test_one_that_computes_for_ever_is_given_longer(looping):
    pulse, _ = looping("while True: pass")
    found_s = watched(Stillness(pulse), 3.0)
    assert 0.1 < found_s < 1.7


def test_one_that_is_suspended_is_told_from_one_that_hangs(looping):
    pulse, process = looping("time.sleep(0.02)")
    still = Stillness(pulse)
    os.kill(process.pid, signal.SIGSTOP)
    assert watched(still, 2.0) > 1.0
    assert still.suspended
    os.kill(process.pid, signal.SIGCONT)
    time.sleep(0.5)
    assert still.look(TURN_S) == 0.0
    assert not still.suspended


def test_one_that_gets_no_processor_is_not_taken_for_a_hung_one(looping):
    """It works, next to two that leave it next to nothing of the processor."""
    one = min(os.sched_getaffinity(0))
    spin = [sys.executable, "-c", f"import os; os.sched_setaffinity(0, [{one}])\nwhile True: pass"]
    starved = f"os.sched_setaffinity(0, [{one}]); os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))"
    rivals = [subprocess.Popen(spin) for _ in range(2)]
    try:
        pulse, _ = looping(f"import os; {starved}\n    while True: pass")
        time.sleep(0.5)
        found_s = watched(Stillness(pulse), 4.0)
        assert pulse.still_s() > 4.0, "by the clock it would be a hung one"
        assert found_s < 1.5
    finally:
        for rival in rivals:
            rival.kill()
            rival.wait(5)


def test_turns_that_we_missed_ourselves_are_not_held_against_it(looping):
    """Everything stood still, we too: one late look is one turn."""
    pulse, process = looping("time.sleep(0.02)")
    still = Stillness(pulse)
    os.kill(process.pid, signal.SIGSTOP)
    still.look(TURN_S)
    assert still.look(30.0) <= 2 * TURN_S


def test_whatever_it_waits_for_there_is_an_end_to_it(looping, monkeypatch):
    pulse, process = looping("time.sleep(0.02)")
    waits = stillness._Threads({pulse.thread: stillness.FOR_THE_DISK})
    monkeypatch.setattr(stillness, "_threads", lambda pid: waits)
    os.kill(process.pid, signal.SIGSTOP)
    still = Stillness(pulse)
    still.look(TURN_S)
    found_s = [still.look(TURN_S) for _ in range(round(stillness.AT_MOST_S / TURN_S) + 1)]
    assert found_s[len(found_s) // 2] == 0.0
    assert found_s[-1] > stillness.AT_MOST_S


def test_who_says_that_it_takes_a_while_is_left_in_peace_until_then():
    page = Pulse.shared()
    inside = Pulse.at(page.path)
    inside.announce()
    still = Stillness(page)
    assert still.look(TURN_S) == 0.0, "there is no loop yet"
    inside.beat()
    with inside.patience(0.2):
        assert still.look(TURN_S) == 0.0
        inside.beat()  # of a node that is stepped beside it
        assert still.look(TURN_S) == 0.0
        assert page.still_s() == 0.0
        time.sleep(0.25)
        assert still.look(TURN_S) > 0.0
        assert page.still_s() > 0.0
    assert still.look(TURN_S) == 0.0


def test_a_page_is_gone_when_it_is_closed():
    fds = len(os.listdir("/proc/self/fd"))
    page = Pulse.shared()
    inside = Pulse.at(page.path)
    inside.announce()
    assert page.pid == os.getpid()
    inside.close()
    page.close()
    assert len(os.listdir("/proc/self/fd")) == fds
    with pytest.raises(FileNotFoundError):
        Pulse.at(page.path)
