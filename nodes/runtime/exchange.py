"""Hosts asking each other for the time: a small question fifty times a second, and the answer at once.

Over UDP, so that none waits for a lost one to be sent again.  So the answers are quick, which bounds the
clock, and that they come is a sign of life: where none does for the time of several, the link is cut, however
late everything else may be while it is only bad.  Each is sealed with the hosts' key (``link``).

Each end has a thread of its own, so that a step of a node does not make the answer late.  A group that others
hear from another host answers (``Answerer``); the group that hears asks (``Asker``).
"""

import logging
import socket
import struct
import threading
import time
from collections import deque
from contextlib import suppress

from nodes.runtime.endpoint import bound, numeric
from nodes.runtime.hostclock import HostClock
from nodes.runtime.link import SEAL_BYTES, Link

log = logging.getLogger(__name__)

QUESTION = struct.Struct("!q")  # when it was asked, by the clock of who asks
ANSWER = struct.Struct("!qqq")  # the question, when it came, when it was answered
LONGEST = ANSWER.size + SEAL_BYTES + 1  # what is longer is cut to this, and its seal does not fit
ASK_NS = 20_000_000
WAITING = 100  # questions that may still be answered: those of 2 s
POLL_S = 0.05
REFUSED = 100
SILENT_NS = 5_000_000_000
END_S = 1.0


class Answerer:
    """Answers at ``address`` from now to ``close``.  UserError where it cannot be had.

    refused: from where somebody asked without the key, until whoever tells of it takes it.
    """

    def __init__(self, link: Link, address: str) -> None:
        self._link = link
        self._address = address
        self._socket = bound(address, socket.SOCK_DGRAM)
        self._socket.settimeout(POLL_S)
        self.refused: deque[str] = deque(maxlen=REFUSED)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="answers the time", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                datagram, asker = self._socket.recvfrom(LONGEST)
            except TimeoutError:
                continue
            except OSError:  # whatever it was, it was of one datagram
                self._stop.wait(POLL_S)
                continue
            came_ns = time.monotonic_ns()
            question = self._link.unseal(datagram, self._address)
            if question is None or len(question) != QUESTION.size:
                self.refused.append(asker[0])
                continue
            answer = ANSWER.pack(*QUESTION.unpack(question), came_ns, time.monotonic_ns())
            with suppress(OSError):  # there is no way to who asked any more
                self._socket.sendto(self._link.seal(answer, self._address), asker)
        self._socket.close()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(END_S)


class Asker:
    """Learns the clock of the host where ``address`` is answered, from now to ``close``.

    Its methods may be called from any thread.
    """

    def __init__(self, link: Link, host: str, address: str) -> None:
        self.host = host
        self._unanswered = 0
        self._link = link
        self._address = address
        self._clock = HostClock()
        self._lock = threading.Lock()
        family, self._where = numeric(address)
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"asks {host} the time", daemon=True)
        self._thread.start()

    @property
    def known(self) -> bool:
        with self._lock:
            return self._clock.known

    @property
    def silent_ns(self) -> int:
        """For how long it has asked in vain; by the questions, since who is held up himself hears nothing."""
        return self._unanswered * ASK_NS

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
        waiting: deque[int] = deque(maxlen=WAITING)
        ask_s = time.monotonic()
        told = False
        while not self._stop.is_set():
            now_s = time.monotonic()
            if now_s >= ask_s:
                ask_s = now_s + ASK_NS / 1e9
                waiting.append(asked_ns := time.monotonic_ns())
                with suppress(OSError):  # the network is gone; the next one may find it again
                    self._socket.sendto(self._link.seal(QUESTION.pack(asked_ns), self._address), self._where)
                self._unanswered += 1
                if not told and self.silent_ns > SILENT_NS:
                    told = True
                    log.warning(
                        "host %s: does not tell its time at %s; is the link up, and is UDP let through?",
                        self.host,
                        self._address,
                    )
            if answer := self._hear(ask_s - now_s):
                here_ns, asked_ns, received_ns, answered_ns = answer
                if asked_ns in waiting:
                    waiting.remove(asked_ns)
                    with self._lock:
                        self._clock.learn(asked_ns, received_ns, answered_ns, here_ns)
                    self._unanswered, told = 0, False
        self._socket.close()

    def _hear(self, seconds: float) -> tuple[int, int, int, int] | None:
        """When an answer came, and what it says; None where none has come after ``seconds``."""
        self._socket.settimeout(max(0.001, seconds))
        try:
            datagram = self._socket.recv(LONGEST)
        except OSError:
            return None
        here_ns = time.monotonic_ns()
        answer = self._link.unseal(datagram, self._address)
        if answer is None or len(answer) != ANSWER.size:
            return None
        asked_ns, received_ns, answered_ns = ANSWER.unpack(answer)
        return here_ns, asked_ns, received_ns, answered_ns
