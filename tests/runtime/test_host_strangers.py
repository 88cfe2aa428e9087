"""Whoever is sent where hosts meet: the exchange of time, with and without the key."""

import logging
import random
import socket
import time

import psutil
import pytest
import zmq

from nodes.outputs import keys
from nodes.runtime.exchange import ANSWER, ASK_NS, QUESTION, Answerer, Asker
from nodes.runtime.link import SEAL_BYTES, Link
from tests.strangers import malformed

pytestmark = pytest.mark.live
MEGABYTE = 2**20


@pytest.fixture(scope="module")
def link(tmp_path_factory):
    """What a host has."""
    folder = tmp_path_factory.mktemp("of") / "keys"
    keys.make(folder)
    with zmq.Context() as context:
        made = Link(context, folder)
        yield made
        made.close()


@pytest.fixture
def where():
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()


@pytest.fixture
def address(where):
    return f"udp://127.0.0.1:{where[1]}"


@pytest.fixture
def answerer(link, address):
    made = Answerer(link, address)
    yield made
    made.close()


@pytest.fixture
def asker(link, answerer, address):
    made = Asker(link, "there", address)
    yield made
    made.close()


@pytest.fixture
def stranger():
    with socket.socket(type=socket.SOCK_DGRAM) as made:
        made.settimeout(0.5)
        yield made


def until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.005)


def test_ten_thousand_malformed_questions_and_the_time_is_still_told(
    link, answerer, asker, where, stranger, caplog
):
    until(lambda: asker.known)
    process, rng, before = psutil.Process(), random.Random(0), None
    with caplog.at_level(logging.WARNING):
        for number, parts in enumerate(malformed(10_000, ["tone/audio"])):
            lengths = (0, 1, SEAL_BYTES, QUESTION.size + SEAL_BYTES, ANSWER.size + SEAL_BYTES)
            stranger.sendto(rng.choice([parts[0][:60_000], rng.randbytes(rng.choice(lengths))]), where)
            if number % 100 == 0:
                time.sleep(0.002)  # else most would only fill the socket's buffer
            if number == 2000:
                before = process.memory_info().rss, process.num_fds()
        heard_s = asker.report(0)["heard_s"]
        until(lambda: asker.report(0)["heard_s"] < heard_s)  # less ago, seen from the beginning of all time
        assert process.num_fds() == before[1]
        assert process.memory_info().rss - before[0] < 16 * MEGABYTE
        while answerer.refused:
            link.guard.refuse(answerer.refused.popleft())
        link.guard.look()
    with pytest.raises(TimeoutError):
        stranger.recv(100)
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("edges: refused 127.0.0.1")


def test_only_a_question_about_this_clock_by_somebody_with_the_key_is_answered(
    link, answerer, address, where, stranger
):
    question = QUESTION.pack(5)
    for datagram in (
        question,
        link.seal(question, "udp://127.0.0.1:9"),  # that was asked of another host
        link.seal(question, address)[:-1] + b"?",
        link.seal(question, address) + b" and more",
        link.seal(ANSWER.pack(5, 6, 7), address),
    ):
        stranger.sendto(datagram, where)
    until(lambda: len(answerer.refused) == 5)
    stranger.sendto(link.seal(question, address), where)
    asked_ns, came_ns, answered_ns = ANSWER.unpack(link.unseal(stranger.recv(100), address))
    assert asked_ns == 5
    assert 0 < came_ns <= answered_ns <= time.monotonic_ns()


def test_an_answer_that_is_forged_repeated_or_unasked_tells_nothing_and_is_no_sign_of_life(
    link, address, where
):
    with socket.socket(type=socket.SOCK_DGRAM) as forger:
        forger.bind(where)
        forger.settimeout(5)
        asker = Asker(link, "there", address)
        for _ in range(20):
            sealed, asks = forger.recvfrom(100)
            [asked_ns] = QUESTION.unpack(link.unseal(sealed, address))
            answer = ANSWER.pack(asked_ns, 1, 2)
            forger.sendto(answer + bytes(SEAL_BYTES), asks)
            forger.sendto(link.seal(answer, "udp://127.0.0.1:9"), asks)
            forger.sendto(link.seal(ANSWER.pack(asked_ns - 1, 1, 2), address), asks)
        time.sleep(0.05)
        assert asker.silent_ns >= 20 * ASK_NS
        assert not asker.known
        forger.sendto(link.seal(answer, address), asks)
        until(lambda: asker.silent_ns < 20 * ASK_NS)
        for _ in range(20):
            forger.recvfrom(100)
            forger.sendto(link.seal(answer, address), asks)
        assert asker.silent_ns >= 15 * ASK_NS, "some were asked before"
        asker.close()
