"""Who may connect to a socket with keys, and a line for each who was turned away.

ZeroMQ asks (ZAP, RFC 27) whether it knows a key that was proved; whoever shows none, or has another server's
key, fails before that and is told of by the socket's monitor.  pyzmq's own authenticator answers as well, in
a thread, but says neither whom it refused nor anything of the others.
"""

import logging
import time
from collections.abc import Collection
from pathlib import Path

import zmq
from zmq.utils import z85
from zmq.utils.monitor import parse_monitor_message

log = logging.getLogger(__name__)

FIRST_QUIET_S = 5.0  # after a line; twice as long after each
LONGEST_QUIET_S = 3600.0
REMEMBERED = 1000
EVENTS_A_LOOK = 1000

_REFUSED = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
_REASONS: dict[int, str] = {
    zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH: "somebody without a key",
    zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC: "somebody with another server's key",
}


class Guard:
    """Lets those connect to the sockets of ``context`` who have one of the ``known`` public keys.

    Nobody can until ``look`` is called, which never waits; call it often.  who: begins each line of the log.
    folder: where the known keys lie.
    """

    def __init__(
        self, context: "zmq.Context[zmq.Socket[bytes]]", known: Collection[bytes], folder: Path, who: str
    ) -> None:
        self._who = who
        self._folder = folder
        self._known = frozenset(known)
        self._refused = 0
        self._told: dict[str, None] = {}  # the oldest first, as in the next
        self._untold: dict[str, None] = {}
        self._quiet_s = FIRST_QUIET_S
        self._line_s = 0.0
        self._monitors: list[zmq.Socket[bytes]] = []
        self._zap = context.socket(zmq.REP)
        self._zap.linger = 0
        self._zap.bind("inproc://zeromq.zap.01")

    def watch(self, socket: "zmq.Socket[bytes]") -> None:
        """Also tell of whoever fails at this socket before a key is proved."""
        self._monitors.append(socket.get_monitor_socket(_REFUSED))

    def unwatch(self, socket: "zmq.Socket[bytes]") -> None:
        """Before the socket is closed."""
        self._hear()
        self._monitors.remove(socket.get_monitor_socket())
        socket.disable_monitor()

    def refuse(self, whom: str) -> None:
        """Also tell of one who was turned away without ZeroMQ; by the thread that looks."""
        self._refused += 1
        if whom not in self._told and len(self._untold) < REMEMBERED:
            self._untold[whom] = None

    def look(self) -> None:
        self._answer()
        self._hear()
        now_s = time.monotonic()
        if self._untold and now_s >= self._line_s:
            first, *others = self._untold
            more = f" and {len(others)} more like it" if others else ""
            log.warning("%s: refused %s%s (%d refused so far)", self._who, first, more, self._refused)
            self._told = dict.fromkeys([*self._told, *self._untold][-REMEMBERED:])
            self._untold = {}
            self._line_s = now_s + self._quiet_s
            self._quiet_s = min(2 * self._quiet_s, LONGEST_QUIET_S)

    def close(self) -> None:
        self._zap.close()

    def _answer(self) -> None:
        for _ in range(EVENTS_A_LOOK):
            try:
                version, request, _, address, _, mechanism, *credentials = self._zap.recv_multipart(
                    zmq.NOBLOCK
                )
            except zmq.Again:
                return
            key = z85.encode(credentials[0]) if mechanism == b"CURVE" and credentials else b""
            known = key in self._known
            answer = [b"200", b"OK", key] if known else [b"400", b"unknown key", b""]
            self._zap.send_multipart([version, request, *answer, b""])
            if not known:
                self.refuse(f"{address.decode()} with the key {key.decode()}, which is not in {self._folder}")

    def _hear(self) -> None:
        for monitor in self._monitors:
            for _ in range(EVENTS_A_LOOK):
                try:
                    event = parse_monitor_message(monitor.recv_multipart(zmq.NOBLOCK))
                except zmq.Again:
                    break
                if event["event"] == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
                    self.refuse(_REASONS.get(int(event["value"]), "somebody who does not speak ZeroMQ"))
