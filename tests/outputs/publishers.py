"""Publishers, stepped by the test or at work in a thread, and whoever subscribes to them."""

import json
import threading
import time
from contextlib import contextmanager

import zmq
from heard import voice

from nodes.outputs.publish import Publish
from nodes.runtime.node import Context

PACE_S = 0.01


@contextmanager
def publishing(says=lambda: [voice()], address="tcp://127.0.0.1:*", keys=""):
    """A publisher at work in a thread: what it ``says`` every 10 ms; ``longest_s`` is its longest step."""
    node = Publish(address=address, keys=keys)
    node.open(Context(name="publish"))
    node.longest_s = 0.0
    stop = threading.Event()

    def run():
        while not stop.wait(PACE_S):
            began = time.monotonic()
            node.step(says())
            node.longest_s = max(node.longest_s, time.monotonic() - began)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield node
    finally:
        stop.set()
        thread.join()
        node.close()


class Publisher:
    """A publish node that is stepped as its host would, and fed by the test."""

    def __init__(self, address="tcp://127.0.0.1:*", keys=""):
        self.node = Publish(address=address, keys=keys)
        self.node.open(Context(name="publish"))
        self.address = self.node.address
        self._feed = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def say(self, *messages):
        self._feed.append(messages)

    def _run(self):
        while not self._end.wait(0.01):
            self.node.step(self._feed.pop(0) if self._feed else [])

    def close(self):
        self._end.set()
        self._thread.join()
        self.node.close()


class Clock:
    """A clock that a test moves."""

    def __init__(self):
        self.ns = time.monotonic_ns()

    def __call__(self):
        return self.ns


def moved_clock():
    return Clock()


def stepped(clock):
    """A publisher that the test steps."""
    node = Publish(address="tcp://127.0.0.1:*")
    node.open(Context(name="publish", now_ns=clock))
    yield node
    node.close()


class Subscriber:
    def __init__(self, publisher, *topics):
        self.publisher = publisher
        self.topics = topics
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.SUB)
        for topic in topics:
            self.socket.subscribe(topic)
        self.socket.connect(publisher.address)

    def settled(self):
        """Subscribed for sure: a status, asked for last, has come.  Everything until then is thrown away.

        ZeroMQ may know of a subscription a step before the publisher is told: then what it has just sent is
        said again, and is waited for here.
        """
        if not "status".startswith(self.topics[-1]):  # asked for twice it may come twice
            self.socket.subscribe("status")
        end = time.monotonic() + 10.0
        while time.monotonic() < end:
            if [topic for topic, _ in self._read()] == ["status"]:
                while self._read() or self._read():
                    pass
                return self
        raise AssertionError("no status within 10 s")

    def read(self, count, seconds=10.0):
        """``count`` messages, or as many as come in ``seconds``; the publisher steps as its host would."""
        got, end = [], time.monotonic() + seconds
        while len(got) < count and time.monotonic() < end:
            got += [(topic, body) for topic, body in self._read() if topic.startswith(self.topics)]
        return got

    def _read(self):
        self.publisher.step([])
        if not self.socket.poll(20):
            return []
        topic, body = self.socket.recv_multipart()
        return [(topic.decode(), json.loads(body))]

    def close(self):
        self.context.destroy(linger=0)


def subscribing(publisher):
    """A subscriber that has just connected."""
    made = []

    def subscribe(*topics):
        made.append(Subscriber(publisher, *topics))
        return made[-1]

    yield subscribe
    for subscriber in made:
        subscriber.close()


def settling(subscribe):
    """A subscriber whose subscriptions have arrived, and who has had all that is old."""
    return lambda *topics: subscribe(*topics).settled()
