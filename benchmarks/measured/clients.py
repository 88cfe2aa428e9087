"""Subscribers that misbehave: who never reads, reads a byte a second, or connects and vanishes."""

import socket
import struct
import threading
import time
from contextlib import suppress

import zmq

HANDSHAKE_BYTES = 400
"""What a publisher and a subscriber say to each other before the first message, and some."""


def vanish(address: str, times: int) -> None:
    """Connects, subscribes, and is gone without a word, so many times."""
    host, port = address.removeprefix("tcp://").rsplit(":", 1)
    for _ in range(times):
        with socket.create_connection((host, int(port)), timeout=5) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # A ZMTP 3.0 greeting without security, the handshake of a SUB socket, and a subscription to all.
            client.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(16) + b"\x00" + bytes(31))
            client.recv(64)
            client.sendall(b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB" + b"\x00\x01\x01")
            client.recv(1024)


class Deaf:
    """Subscribes to everything and never reads."""

    def __init__(self, address: str) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.rcvhwm = 1
        self._socket.subscribe("")
        self._socket.connect(address)

    def close(self) -> None:
        self._context.destroy(linger=0)


class Slow:
    """Subscribes to everything through a connection that lets a byte a second through."""

    def __init__(self, address: str) -> None:
        host, port = address.removeprefix("tcp://").rsplit(":", 1)
        self._there = socket.create_connection((host, int(port)), timeout=5)
        self._there.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._door = socket.create_server(("127.0.0.1", 0))
        self._stop = threading.Event()
        self.read = 0
        self._deaf = Deaf(f"tcp://127.0.0.1:{self._door.getsockname()[1]}")
        self._here, _ = self._door.accept()
        for run in (self._up, self._down):
            threading.Thread(target=run, daemon=True).start()

    def _up(self) -> None:
        with suppress(OSError):
            while said := self._here.recv(1024):
                self._there.sendall(said)

    def _down(self) -> None:
        with suppress(OSError):
            while not self._stop.is_set() and (heard := self._there.recv(1)):
                self._here.sendall(heard)
                self.read += 1
                if self.read > HANDSHAKE_BYTES:
                    time.sleep(1.0)

    def close(self) -> None:
        self._stop.set()
        for each in (self._there, self._here, self._door):
            each.close()
        self._deaf.close()
