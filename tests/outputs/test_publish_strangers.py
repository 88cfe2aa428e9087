"""Whatever is sent to the publisher's port: nothing breaks, nothing grows, and subscribers are served."""

import json
import logging
import os
import random
import struct
import time

import psutil
import pytest
import zmq
from publishers import publishing

from tests.strangers import Raw, malformed

MEGABYTE = 2**20
pytestmark = pytest.mark.live


@pytest.fixture
def publisher():
    with publishing() as node:
        yield node


@pytest.fixture
def subscriber(publisher):
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.linger = 0
        socket.rcvtimeo = 5000
        socket.subscribe("voice")
        socket.connect(publisher.address)
        yield socket


def next_seq(subscriber):
    """The number of a voice that is published from now on."""
    now_ns = time.monotonic_ns()
    while True:
        body = json.loads(subscriber.recv_multipart()[1])
        if body["t_emit_ns"] >= now_ns:
            return body["seq"]


def settled(process, fds, seconds=5):
    """Memory and open files, once no more of these than ``fds`` are open or ``seconds`` have passed."""
    until = time.monotonic() + seconds
    while process.num_fds() > fds and time.monotonic() < until:
        time.sleep(0.02)
    return process.memory_info().rss, process.num_fds()


def grown(rounds):
    """How much more memory the last three rounds held than the first three, less what was on its way."""
    memory = [round[0] for round in rounds]
    return min(memory[-3:]) - min(memory[:3])


def noise(address, rng):
    """A thousand messages of a peer that keeps to no rule, over ten connections."""
    for number in range(10):
        stranger = Raw(address, rng.choice([b"SUB", b"PUSH", b"XSUB", b"\x00" * 9]), greets=number % 5 != 0)
        for parts in malformed(100, ["voice", ""], seed=rng.random()):
            if stranger.cut_off:  # for a part that is longer than it may be, or for no ZMTP at all
                stranger.close()
                stranger = Raw(address)
            stranger.send_parts(rng.choice([parts, [part[:500] for part in parts]]))
        stranger.send(struct.pack(">BQ", 2, 2**62) + os.urandom(1000))
        stranger.close()


def test_ten_thousand_malformed_messages(publisher, subscriber, caplog):
    process, rng, rounds = psutil.Process(), random.Random(0), []
    next_seq(subscriber)
    fds = process.num_fds()
    for _ in range(10):
        noise(publisher.address, rng)
        before = next_seq(subscriber)
        assert next_seq(subscriber) > before
        rounds.append(settled(process, fds))
    assert grown(rounds) < 8 * MEGABYTE, rounds
    assert max(opened for _, opened in rounds) <= fds
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) <= 1


def test_ten_thousand_topics_that_nobody_publishes(publisher, subscriber, caplog):
    """ZeroMQ would keep them all; everybody is dropped, who belongs here is back at once."""
    process, rng, rounds = psutil.Process(), random.Random(0), []
    next_seq(subscriber)
    before = process.memory_info().rss, process.num_fds()
    for _ in range(8):
        stranger = Raw(publisher.address)
        for _ in range(100):
            if not all(stranger.send_parts([b"\1" + rng.randbytes(500)]) for _ in range(100)):
                break
        assert stranger.is_cut_off_at_last()
        stranger.close()
        assert next_seq(subscriber) > 0
        rounds.append(settled(process, before[1]))
    assert max(memory for memory, _ in rounds) - before[0] < 40 * MEGABYTE, rounds
    assert max(opened for _, opened in rounds) <= before[1]
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"publish: {publisher.address}: somebody subscribes to what is never published")


def test_who_ends_topics_that_he_never_asked_for_is_ended_no_later(publisher, subscriber, caplog):
    """Between two topics of a flood one that was never begun is ended."""
    rng = random.Random(1)
    next_seq(subscriber)
    before = psutil.Process().memory_info().rss
    stranger = Raw(publisher.address)
    for _ in range(100):
        flood = [b"\0" + rng.randbytes(500), b"\1" + rng.randbytes(500)]
        if not all(stranger.send_parts([one]) for one in flood * 50):
            break
    assert stranger.is_cut_off_at_last()
    stranger.close()
    assert next_seq(subscriber) > 0
    assert psutil.Process().memory_info().rss - before < 40 * MEGABYTE
    assert "somebody subscribes to what is never published" in caplog.text


def test_subscribers_that_come_and_go_with_a_topic_of_their_own_are_not_a_flood(
    publisher, subscriber, caplog
):
    with zmq.Context() as context:
        for _ in range(30):
            with context.socket(zmq.SUB) as other:
                other.subscribe("sentimnet" * 50)
                other.subscribe("voice")
                other.connect(publisher.address)
                other.recv_multipart()
    until = time.monotonic() + 5
    while publisher._broadcast._useless_bytes and time.monotonic() < until:
        time.sleep(0.01)
    assert publisher._broadcast._useless_bytes == 0
    assert caplog.records == []
