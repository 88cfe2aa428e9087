"""Whoever is sent where hosts meet: the exchange of time, and an edge with keys; with and without the key."""

import random
import time

import psutil
import pytest
import zmq

from benchmarks.measured.launched import free_address
from nodes.outputs import keys
from nodes.runtime.exchange import ANSWER, QUESTION, Answerer, Asker
from nodes.runtime.link import Link
from tests.strangers import Raw, malformed

pytestmark = pytest.mark.live
MEGABYTE = 2**20


@pytest.fixture
def folder(tmp_path):
    keys.make(tmp_path / "keys")
    return tmp_path / "keys"


@pytest.fixture
def address():
    return free_address()


@pytest.fixture
def link(folder):
    """What a host has; its guard looks as often as the host's loop would."""
    with zmq.Context() as context:
        made = Link(context, folder)
        yield context, made
        made.close()
        context.destroy(linger=0)


def until(condition, guard, seconds=10):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        guard.look()
        time.sleep(0.005)
    return condition()


def test_ten_thousand_malformed_questions_and_the_time_is_still_told(link, address, caplog):
    context, made = link
    answerer = Answerer(context, made, address)
    made.guard.watch(answerer._socket)
    process, rng, before = psutil.Process(), random.Random(0), None
    asker = Asker(context, made, "there", address)
    assert until(lambda: asker.known, made.guard)
    with context.socket(zmq.DEALER) as stranger:
        stranger.linger = 0
        made.connect(stranger, address)
        for number, parts in enumerate(malformed(10_000, ["tone/audio"])):
            small = [part[:500] for part in parts[:20]]
            stranger.send_multipart(rng.choice([small, small[:1], [rng.randbytes(QUESTION.size)]]))
            if number % 200 == 0:
                made.guard.look()
                while stranger.poll(0):
                    assert len(stranger.recv()) == ANSWER.size, "who asks with 8 bytes is told the time"
            if number == 2000:
                before = process.memory_info().rss, process.num_fds()
        asked = time.monotonic_ns()
        assert until(lambda: asker.report(0)["heard_s"] * 1e9 < -asked, made.guard), "it is not told any more"
        assert process.num_fds() == before[1]
        assert process.memory_info().rss - before[0] < 16 * MEGABYTE
    for _ in range(50):
        Raw(address, b"DEALER").close()  # without a key
    assert until(lambda: len(caplog.records) > 0, made.guard)
    asker.close()
    answerer.close()
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("edges: refused somebody without a key")
