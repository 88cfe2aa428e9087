"""Subscribers that misbehave, on a real publisher: nobody else notices, and nothing is left of them."""

import threading
import time
from contextlib import contextmanager

import psutil
import pytest
import zmq
from heard import voice

from benchmarks.measured.clients import Slow, vanish
from nodes.outputs.publish import Publish
from nodes.runtime.node import Context

pytestmark = pytest.mark.live

PACE_S = 0.01


@contextmanager
def publishing():
    """A publisher at work in a thread; ``longest_s`` is the longest that one step took."""
    node = Publish(address="tcp://127.0.0.1:*")
    node.open(Context(name="publish"))
    node.longest_s = 0.0
    stop = threading.Event()

    def run():
        while not stop.wait(PACE_S):
            began = time.monotonic()
            node.step([voice()])
            node.longest_s = max(node.longest_s, time.monotonic() - began)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield node
    finally:
        stop.set()
        thread.join()
        node.close()


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
