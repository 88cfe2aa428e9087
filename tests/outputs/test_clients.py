"""Subscribers that misbehave, on a real publisher: nobody else notices, and nothing is left of them."""

import time

import psutil
import pytest
import zmq
from heard import voice
from publishers import moved_clock, publishing, settling, stepped, subscribing

from benchmarks.measured.clients import Slow, vanish

pytestmark = pytest.mark.live

clock = pytest.fixture(moved_clock)
publisher = pytest.fixture(stepped)
subscribe = pytest.fixture(subscribing)
listening = pytest.fixture(settling)


def heard(address, seconds):
    """How many messages a subscriber that is well gets in so long."""
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.linger = 0
        socket.subscribe("voice")
        socket.connect(address)
        end, count = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            if socket.poll(50):
                socket.recv_multipart()
                count += 1
        return count


def test_a_subscriber_that_never_reads_holds_nobody_up(publisher, listening, subscribe):
    lazy = subscribe("voice")
    lazy.socket.rcvhwm = 1
    reader = listening("voice")
    longest, got = 0.0, 0
    for sent in range(50, 10_001, 50):
        start = time.monotonic()
        publisher.step([voice() for _ in range(50)])
        longest = max(longest, time.monotonic() - start)
        while reader.socket.poll(0 if sent - got < 500 else 100):  # a busy machine is not its fault
            reader.socket.recv_multipart()
            got += 1
    got += len(reader.read(10_000 - got, seconds=2.0))
    assert longest < 1.0
    assert got > 9_000


def test_a_subscriber_that_reads_a_byte_a_second_holds_nobody_up():
    with publishing() as publisher:
        slow = Slow(publisher.address)
        try:
            got = heard(publisher.address, 4.0)
        finally:
            slow.close()
        assert slow.read > 0, "it is subscribed"
        assert got > 100
        assert publisher.longest_s < 1.0


def test_a_thousand_subscribers_that_vanish_leave_nothing():
    process = psutil.Process()
    with publishing() as publisher:
        vanish(publisher.address, 50)
        time.sleep(0.5)
        descriptors, memory = process.num_fds(), process.memory_info().rss
        vanish(publisher.address, 1000)
        assert heard(publisher.address, 1.0) > 25, "who is well is heard after them"
        assert publisher.longest_s < 1.0
        end = time.monotonic() + 10
        while process.num_fds() > descriptors + 2:
            assert time.monotonic() < end, f"{process.num_fds() - descriptors} connections are left"
            time.sleep(0.1)
        assert process.memory_info().rss - memory < 20 * 2**20
