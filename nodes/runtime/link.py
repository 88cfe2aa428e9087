"""What a socket needs whose other end is on another host: keys, and a pulse that shows when it is gone.

All hosts of a pipeline share one CURVE key: with it a socket proves itself to any other of them and knows
them, and what goes between them is encrypted.  A link that is cut says nothing: packets just go astray, and
TCP would try for many minutes, at ever longer intervals.  So each side asks the other for a sign of life
and takes a new connection when none comes; attempts to connect are short, so that the first after the link is
back succeeds.

TCP is asked to be paced by BBR, where the kernel has it: the usual CUBIC takes every packet that a radio link
loses for a sign that it sends too much.

What goes without a connection (``exchange``) is sealed with the same key: anybody can read it, and
nobody else can write it.
"""

import hmac
import socket
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import zmq

from nodes.outputs import keys
from nodes.runtime.endpoint import bound
from nodes.runtime.errors import UserError
from nodes.runtime.guard import Guard

PULSE_MS = 300
DEAD_MS = 1500  # two lost packets in a row, each sent again by TCP, take 0.9 s at 80 ms there and back
CONNECT_MS = 500
RECONNECT_MS = 100
HANDSHAKE_MS = 2000
CONGESTION = b"bbr"
BACKLOG = 100
SEAL_BYTES = 16


class Link:
    """``bind`` and ``connect`` sockets of ``context`` to those of other hosts.

    folder: that of the keys.  UserError where there is none, or no key in it.
    guard: lets other hosts in; call its ``look`` often.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], folder: Path | None) -> None:
        if folder is None:
            raise UserError(
                "what goes between hosts needs keys, and this process was given none; start it with"
                " `python launch.py join` or `python launch.py run`"
            )
        self._public, self._secret = keys.edge(folder)
        self.guard = Guard(context, {self._public}, folder / keys.HOSTS, "edges")

    def bind(self, sender: zmq.Socket[bytes], address: str) -> None:
        """UserError where ``address`` cannot be had."""
        listener = bound(address, socket.SOCK_STREAM)
        with suppress(OSError, AttributeError):  # a kernel without it has one of its own
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, CONGESTION)
        listener.setblocking(False)
        listener.listen(BACKLOG)
        self._prepare(sender)
        sender.curve_server = True
        sender.setsockopt(zmq.USE_FD, listener.detach())  # whoever it accepts has its settings
        sender.bind(address)

    def connect(self, receiver: zmq.Socket[bytes], address: str) -> None:
        self._prepare(receiver)
        receiver.curve_serverkey = self._public
        receiver.setsockopt(zmq.CONNECT_TIMEOUT, CONNECT_MS)
        receiver.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        receiver.connect(address)

    def seal(self, data: bytes, about: str) -> bytes:
        """``data``, and the proof that one of the hosts says it about ``about``, and of nothing else."""
        return data + self._seal(data, about)

    def unseal(self, sealed: bytes, about: str) -> bytes | None:
        """The data; None where it was not sealed by one of the hosts, or about something else."""
        data, seal = sealed[:-SEAL_BYTES], sealed[-SEAL_BYTES:]
        return data if hmac.compare_digest(seal, self._seal(data, about)) else None

    def close(self) -> None:
        self.guard.close()

    def _seal(self, data: bytes, about: str) -> bytes:
        said = about.encode() + b"\0" + data
        return blake2b(said, digest_size=SEAL_BYTES, key=self._secret, person=b"hearsee datagram").digest()

    def _prepare(self, end: zmq.Socket[bytes]) -> None:
        end.curve_publickey, end.curve_secretkey = self._public, self._secret
        end.setsockopt(zmq.HEARTBEAT_IVL, PULSE_MS)
        end.setsockopt(zmq.HEARTBEAT_TIMEOUT, DEAD_MS)
        end.setsockopt(zmq.HEARTBEAT_TTL, DEAD_MS)
        end.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        end.setsockopt(zmq.IPV6, 1)
