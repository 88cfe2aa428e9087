"""The socket that results leave by: anybody may subscribe, nobody holds it up, latecomers get the latest.

XPUB with a last-value cache (ZeroMQ guide, chapter 5).  XPUB sends to all subscribers of a topic or to none,
so what is sent for a latecomer reaches the others too: such a body says ``"repeat": true`` and keeps its
``seq``.
"""

import errno
from pathlib import Path

import msgspec
import zmq
from zmq.auth.thread import ThreadAuthenticator

from nodes.outputs import keys
from nodes.outputs.address import check, is_local
from nodes.outputs.bodies import Common
from nodes.runtime.errors import UserError

QUEUE = (
    1000  # messages kept for each subscriber; beyond that the newest are dropped, for that subscriber only
)
LONGEST_SUBSCRIPTION = 1024  # bytes; a CURVE handshake has to fit as well
SUBSCRIPTIONS_A_STEP = 1000

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
                "`python -m nodes.outputs.keys keys` and set `keys: keys` beside the address in "
                "pipeline.yaml, or publish to tcp://127.0.0.1:5556"
            )
        self._context = zmq.Context()
        self._guard: ThreadAuthenticator | None = None
        self._last: dict[tuple[str, str], Common] = {}
        try:
            self._socket = self._bind(address, folder)
        except BaseException:
            self._end()
            raise
        self.address: str = str(self._socket.get_string(zmq.LAST_ENDPOINT)).rstrip("\0")

    def _bind(self, address: str, folder: Path | None) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.XPUB)
        socket.linger = 0
        socket.sndhwm = QUEUE
        socket.set(zmq.XPUB_VERBOSE, 1)  # every subscription, also to a topic somebody has already
        socket.set(zmq.MAXMSGSIZE, LONGEST_SUBSCRIPTION)
        # A subscriber whose machine is switched off leaves no word; the kernel finds out within 90 s.
        socket.set(zmq.TCP_KEEPALIVE, 1)
        socket.set(zmq.TCP_KEEPALIVE_IDLE, 60)
        socket.set(zmq.TCP_KEEPALIVE_INTVL, 10)
        socket.set(zmq.TCP_KEEPALIVE_CNT, 3)
        if folder is not None:
            socket.curve_publickey, socket.curve_secretkey = keys.pair(folder, "server")
            socket.curve_server = True
            self._guard = ThreadAuthenticator(self._context)
            self._guard.start()
            self._guard.configure_curve(domain="*", location=folder)
        try:
            socket.bind(address)
        except zmq.ZMQError as error:
            wrong = _FAILURES.get(error.errno or 0, f"cannot be used ({error}); use tcp://127.0.0.1:5556")
            raise UserError(f"publish: {address} {wrong}") from error
        return socket

    def send(self, topic: str, body: Common) -> None:
        """Sends to all who subscribed to a beginning of ``topic``; never waits."""
        self._last.pop((topic, body.stream), None)
        self._last[topic, body.stream] = body
        self._socket.send_multipart([topic.encode(), msgspec.json.encode(body)], zmq.NOBLOCK)

    def welcome(self) -> None:
        """Sends the latest of every topic that was subscribed to since the last call, oldest first."""
        asked: set[bytes] = set()
        for _ in range(SUBSCRIPTIONS_A_STEP):
            try:
                frame = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                break
            if frame[:1] == b"\x01":
                asked.add(frame[1:])
        if not asked:
            return
        for (topic, _), body in list(self._last.items()):
            if topic.encode().startswith(tuple(asked)):
                body.repeat = True
                self._socket.send_multipart([topic.encode(), msgspec.json.encode(body)], zmq.NOBLOCK)

    def close(self) -> None:
        self._end()

    def _end(self) -> None:
        if self._guard is not None:
            self._guard.stop()
            self._guard = None
        self._context.destroy(linger=0)
