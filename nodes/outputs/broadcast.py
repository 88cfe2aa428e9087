"""The socket that results leave by: anybody may subscribe, nobody holds it up, latecomers get the latest.

XPUB with a last-value cache (ZeroMQ guide, chapter 5).  XPUB sends to all subscribers of a topic or to none,
so what is sent for a latecomer reaches the others too: such a body says ``"repeat": true`` and keeps its
``seq``.
"""

import errno
import logging
import time
from pathlib import Path

import msgspec
import zmq

from nodes.outputs import keys
from nodes.outputs.address import check, is_local
from nodes.outputs.bodies import BODIES, Common
from nodes.runtime.errors import UserError
from nodes.runtime.guard import Guard

log = logging.getLogger(__name__)

QUEUE = (
    1000  # messages kept for each subscriber; beyond that the newest are dropped, for that subscriber only
)
LONGEST_SUBSCRIPTION = 512  # bytes; a CURVE handshake has to fit as well
# ZeroMQ takes all that there are without a break, 25 kB of memory for each of the longest: with room for more
# on the way a quick flood keeps it supplied, and is swallowed whole before we are asked.
SUBSCRIPTIONS_AHEAD = 2  # the proof of a key takes the place of one, for good
RECEIVE_BYTES = 1024
NEXT_MS = 1  # so the next one takes a moment to come,
SUBSCRIPTIONS_S = 0.005  # and a step spends so much on them
FULL_STEPS = 200
# ZeroMQ keeps every subscription, tens of bytes for each letter, and has no bound: a flood is ended here.
USELESS_BYTES = 100_000
COMPLAIN_S = 60.0
HANDSHAKE_MS = 5000  # who connects and says nothing is cut off

LINGER_MS = 200  # what was sent last may take so long to leave when the run is stopped

TOPICS = tuple(topic.encode() for topic in BODIES)
"""Whoever asks for a beginning of one of these asks for something."""

_FAILURES = {
    errno.EADDRINUSE: "is in use, perhaps by another hearsee; stop that one, or set another port",
    errno.EADDRNOTAVAIL: "is not an address of this machine; use tcp://127.0.0.1:5556",
    errno.ENODEV: "is not an address of this machine; use tcp://127.0.0.1:5556",
    errno.EACCES: "may not be used by this user; take a port above 1023",
}


class Broadcast:
    """Binds ``address``; ``folder`` holds CURVE keys, see ``keys``.  UserError where it cannot."""

    def __init__(self, address: str, folder: Path | None) -> None:
        check(address)
        if folder is None and not is_local(address):
            raise UserError(
                f"publish: {address} can be reached from other machines, so it needs keys: make them with "
                "`python launch.py keys` and set `keys: keys` beside the address in "
                "pipeline.yaml, or publish to tcp://127.0.0.1:5556"
            )
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._guard: Guard | None = None
        self._pair: tuple[bytes, bytes] | None = None
        self._last: dict[tuple[str, str], Common] = {}
        self._useless: dict[bytes, int] = {}  # how many subscribe to what is never published,
        self._useless_bytes = 0  # and in sum
        self._full_steps = 0  # on end, that could not read all that subscribers sent
        self._complain_s = 0.0
        try:
            if folder is not None:
                self._pair = keys.pair(folder, "server")
                self._guard = Guard(self._context, keys.known(folder), folder, "publish")
            self._socket: zmq.Socket[bytes] | None = self._bind(address)
        except zmq.ZMQError as error:
            self._end()
            wrong = _FAILURES.get(error.errno or 0, f"cannot be used ({error}); use tcp://127.0.0.1:5556")
            raise UserError(f"publish: {address} {wrong}") from error
        except BaseException:
            self._end()
            raise
        self.address: str = str(self._socket.get_string(zmq.LAST_ENDPOINT)).rstrip("\0")

    def _bind(self, address: str) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.XPUB)
        socket.linger = 0
        socket.sndhwm = QUEUE
        socket.rcvhwm = SUBSCRIPTIONS_AHEAD
        socket.set(zmq.RCVBUF, RECEIVE_BYTES)
        socket.set(zmq.XPUB_VERBOSER, 1)  # every subscription, also to a topic somebody has, and its end
        socket.set(zmq.MAXMSGSIZE, LONGEST_SUBSCRIPTION)
        socket.set(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        # A subscriber whose machine is switched off leaves no word; the kernel finds out within 90 s.
        socket.set(zmq.TCP_KEEPALIVE, 1)
        socket.set(zmq.TCP_KEEPALIVE_IDLE, 60)
        socket.set(zmq.TCP_KEEPALIVE_INTVL, 10)
        socket.set(zmq.TCP_KEEPALIVE_CNT, 3)
        if self._pair is not None:
            socket.curve_publickey, socket.curve_secretkey = self._pair
            socket.curve_server = True
        try:
            socket.bind(address)
        except zmq.ZMQError:
            socket.close()
            raise
        if self._guard is not None:
            self._guard.watch(socket)
        return socket

    def send(self, topic: str, body: Common) -> None:
        """Sends to all who subscribed to a beginning of ``topic``, one of BODIES; never waits."""
        assert topic in BODIES, f"BODIES has no {topic}"
        self._last.pop((topic, body.stream), None)
        self._last[topic, body.stream] = body
        self._send(topic, body)

    def _send(self, topic: str, body: Common) -> None:
        if self._socket is not None:
            self._socket.send_multipart([topic.encode(), msgspec.json.encode(body)], zmq.NOBLOCK)

    def welcome(self) -> None:
        """Lets in who may, and sends the latest of every topic that was subscribed to since the last call,
        oldest first.
        """
        if self._guard is not None:
            self._guard.look()
        asked = self._asked()
        if not asked:
            return
        for (topic, _), body in list(self._last.items()):
            if topic.encode().startswith(tuple(asked)):
                body.repeat = True
                self._send(topic, body)

    def _asked(self) -> set[bytes]:
        """Beginnings of topics that somebody has subscribed to since the last call."""
        asked: set[bytes] = set()
        if self._socket is None:
            self._bind_again()
            return asked
        until_s, wait_ms = time.monotonic() + SUBSCRIPTIONS_S, 0
        while self._socket.poll(wait_ms):
            frame = self._socket.recv(zmq.NOBLOCK)
            subscribes, wanted = frame[:1] == b"\1", frame[1:]
            if any(topic.startswith(wanted) for topic in TOPICS):
                asked |= {wanted} if subscribes else set()
            elif frame[:1] in (b"\0", b"\1"):
                self._count(wanted, 1 if subscribes else -1)
            if self._useless_bytes > USELESS_BYTES or self._full_steps > FULL_STEPS:
                return self._drop_all()
            if time.monotonic() > until_s:
                self._full_steps += 1
                return asked
            wait_ms = NEXT_MS
        self._full_steps = 0
        return asked

    def _count(self, wanted: bytes, more: int) -> None:
        """Who ends what was never begun has no credit for it."""
        before = self._useless.pop(wanted, 0)
        now = max(0, before + more)
        if now:
            self._useless[wanted] = now
        self._useless_bytes += (now - before) * len(wanted)

    def _drop_all(self) -> set[bytes]:
        """ZeroMQ has no way to end one subscriber.  The others connect again by themselves, and ask again."""
        assert self._socket is not None
        self._complain("somebody subscribes to what is never published, without end; all must connect again")
        if self._guard is not None:
            self._guard.unwatch(self._socket)
        self._socket.close()
        self._socket, self._useless, self._useless_bytes, self._full_steps = None, {}, 0, 0
        return set()

    def _bind_again(self) -> None:
        """As soon as ZeroMQ has given the port back: a step or two later."""
        try:
            self._socket = self._bind(self.address)
        except zmq.ZMQError as error:
            if error.errno != errno.EADDRINUSE:
                self._complain(f"cannot be used again ({error})")

    def _complain(self, what: str) -> None:
        now_s = time.monotonic()
        if now_s >= self._complain_s:
            self._complain_s = now_s + COMPLAIN_S
            log.warning("publish: %s: %s", self.address, what)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close(linger=LINGER_MS)
        self._end()

    def _end(self) -> None:
        if self._guard is not None:
            self._guard.close()
            self._guard = None
        self._context.destroy(linger=0)
