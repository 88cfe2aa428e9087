"""Hosts asking each other for the time: a small question every quarter of a second, and the answer at once.

Each end has a thread of its own, so that a step of a node does not make the answer late.  A group that others
hear from another host answers (``Answerer``); the group that hears asks (``Asker``).
"""

import logging
import struct
import threading
import time

import zmq

from nodes.runtime.hostclock import HostClock
from nodes.runtime.link import Link

log = logging.getLogger(__name__)

QUESTION = struct.Struct("!q")  # when it was asked, by the clock of who asks
ANSWER = struct.Struct("!qqq")  # the question, when it came, when it was answered
FIRST_S = 0.05  # between questions until the offset is known
THEN_S = 0.25
WAITING = 8  # questions that may be on their way; more would only wait in the same line
POLL_MS = 50
LOST_S = 2.0
SILENT_S = 5.0
END_S = 1.0


class Answerer:
    """Answers at ``address`` from now to ``close``.  UserError where it cannot be had."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], link: Link, address: str) -> None:
        self._socket = context.socket(zmq.ROUTER)
        self._socket.set_hwm(WAITING)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.MAXMSGSIZE, 1024)  # a CURVE handshake has to fit as well
        link.bind(self._socket, address)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="answers the time", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            if not self._socket.poll(POLL_MS):
                continue
            frames = self._socket.recv_multipart()
            came_ns = time.monotonic_ns()
            if len(frames) == 2 and len(frames[1]) == QUESTION.size:
                asked_ns = QUESTION.unpack(frames[1])[0]
                answer = ANSWER.pack(asked_ns, came_ns, time.monotonic_ns())
                # A ROUTER drops what has no way to go, so this never waits.
                self._socket.send_multipart([frames[0], answer])
        self._socket.close()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(END_S)


class Asker:
    """Learns the clock of the host where ``address`` is answered, from now to ``close``.

    Its methods may be called from any thread.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], link: Link, host: str, address: str) -> None:
        self.host = host
        self._address = address
        self._clock = HostClock()
        self._lock = threading.Lock()
        self._socket = context.socket(zmq.DEALER)
        self._socket.set_hwm(WAITING)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.MAXMSGSIZE, 1024)
        link.connect(self._socket, address)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"asks {host} the time", daemon=True)
        self._thread.start()

    @property
    def known(self) -> bool:
        with self._lock:
            return self._clock.known

    def offset_ns(self, now_ns: int) -> int | None:
        """What makes of a time of that host one of this; None while that is not known."""
        with self._lock:
            return self._clock.offset_ns(now_ns) if self._clock.known else None

    def report(self, now_ns: int) -> dict[str, float] | None:
        """For ``Health.clocks``; None while nothing is known."""
        with self._lock:
            clock = self._clock
            if not clock.known:
                return None
            return {
                "offset_ms": round(clock.offset_ns(now_ns) / 1e6, 3),
                "uncertainty_ms": round(clock.uncertainty_ns(now_ns) / 1e6, 3),
                "delay_ms": round(clock.delay_ns / 1e6, 3),
                "heard_s": round((now_ns - clock.learned_ns) / 1e9, 3),
                "steps": clock.steps,
            }

    def close(self) -> None:
        self._stop.set()
        self._thread.join(END_S)

    def _run(self) -> None:
        waiting: list[int] = []
        ask_s = heard_s = time.monotonic()
        told = False
        while not self._stop.is_set():
            now_s = time.monotonic()
            if now_s >= ask_s:
                ask_s = now_s + (THEN_S if self.known else FIRST_S)
                waiting = [asked_ns for asked_ns in waiting if now_s - asked_ns / 1e9 < LOST_S]
                if len(waiting) < WAITING:
                    asked_ns = time.monotonic_ns()
                    try:
                        self._socket.send(QUESTION.pack(asked_ns), zmq.DONTWAIT)
                        waiting.append(asked_ns)
                    except zmq.Again:
                        pass
            if self._socket.poll(max(1, min(POLL_MS, round((ask_s - now_s) * 1000)))):
                here_ns, answer = self._hear()
                if answer and answer[0] in waiting:
                    waiting.remove(answer[0])
                    with self._lock:
                        self._clock.learn(*answer, here_ns)
                    heard_s, told = time.monotonic(), False
            elif not told and time.monotonic() - heard_s > SILENT_S:
                told = True
                log.warning(
                    "host %s: does not tell its time at %s; is the link up?", self.host, self._address
                )
        self._socket.close()

    def _hear(self) -> tuple[int, tuple[int, int, int] | None]:
        answer = self._socket.recv()
        here_ns = time.monotonic_ns()
        return here_ns, ANSWER.unpack(answer) if len(answer) == ANSWER.size else None  # type: ignore[return-value]
