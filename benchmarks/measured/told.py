"""What a subscriber was told, and when: waited for, and summed up."""

import json
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import zmq

from benchmarks.measured.launched import subscribed

KEPT = 20_000
TOPICS = ("voice", "status", "face")
Test = Callable[[str, dict[str, Any]], bool]
SOUND, LIPS = ("av", "audio"), ("av", "video")


class Told(NamedTuple):
    """arrived_s: by ``time.monotonic``."""

    arrived_s: float
    topic: str
    body: dict[str, Any]


class Listener:
    """Reads all that is published at ``address`` in a thread of its own; keeps the latest 20,000."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._told: deque[Told] = deque(maxlen=KEPT)
        self._news = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Listener":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join(5)

    def _run(self) -> None:
        with subscribed(self._address) as socket:
            while not self._stop.is_set():
                if not socket.poll(100):
                    continue
                topic, body = socket.recv_multipart(zmq.NOBLOCK)
                told = Told(time.monotonic(), topic.decode(), json.loads(body))
                if told.topic in TOPICS and not told.body.get("repeat"):
                    with self._news:
                        self._told.append(told)
                        self._news.notify_all()

    def since(self, when_s: float) -> list[Told]:
        with self._news:
            return [told for told in self._told if told.arrived_s >= when_s]

    def wait(self, after_s: float, seconds: float, test: Test) -> Told | None:
        """The first that arrived after ``after_s`` and passes; None where none came within ``seconds``."""
        until_s = time.monotonic() + seconds
        seen_s = after_s
        while True:
            for told in self.since(seen_s):
                if test(told.topic, told.body):
                    return told
                seen_s = told.arrived_s
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                return None
            with self._news:
                self._news.wait(left_s)

    def status(self) -> dict[str, Any]:
        """The latest."""
        return next(told.body for told in reversed(self.since(0.0)) if told.topic == "status")


def lost_s(told: list[Told], begin_s: float, end_s: float, modes: tuple[str, ...]) -> float:
    """Seconds of capture between ``begin_s`` and ``end_s`` that no chunk read in one of ``modes`` covers."""
    chunks = {
        each.body["t_start_ns"]: each.body["t_end_ns"]
        for each in told
        if each.topic == "voice" and each.body["mode"] in modes
    }
    covered_s, reached_s = 0.0, begin_s
    for start_ns, end_ns in sorted(chunks.items()):
        from_s, to_s = max(start_ns / 1e9, reached_s), min(end_ns / 1e9, end_s)
        if to_s > from_s:
            covered_s, reached_s = covered_s + to_s - from_s, to_s
    return max(0.0, end_s - begin_s - covered_s)
