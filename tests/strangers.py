"""What may come in at a socket that is not a message of ours, and who sends it."""

import random
import socket
import struct
import time
from contextlib import suppress

import msgspec
import numpy as np

from nodes.runtime.messages import Audio, Health, Picture, encode

HEAD = {"stream": "tone", "seq": 0, "epoch": 0, "t_start_ns": 0, "t_end_ns": 40_000_000}


def malformed(count, routes, seed=0):
    """``count`` multipart messages that are none, on ``routes`` and on others; the same every time."""
    rng = random.Random(seed)
    kinds = [
        _noise,
        _cut,
        _huge_header,
        _deep,
        _other_kind,
        _other_shape,
        _lies,
        _thousands,
        _far_numbers,
        _text,
    ]
    for number in range(count):
        yield kinds[number % len(kinds)](rng, rng.choice(routes).encode())


def _audio(**fields):
    return Audio(**HEAD | {"samples": np.zeros(160, np.float32)} | fields)


def _picture(**fields):
    return Picture(**HEAD | {"image": np.zeros((8, 8, 3), np.uint8)} | fields)


def _sent(message, route):
    return [route, *map(bytes, encode(message)[1:])]


def _noise(rng, route):
    return [rng.randbytes(rng.randrange(200)) for _ in range(rng.randrange(1, 6))]


def _cut(rng, route):
    topic, header, buffer = _sent(_audio(), route)
    return [topic, header[: rng.randrange(len(header))], buffer]


def _huge_header(rng, route):
    return [route, rng.randbytes(1) * rng.choice((1000, 100_000, 100_000, 1_000_000))]


def _deep(rng, route):
    """A msgpack header of lists in lists, deeper than any reader's stack."""
    return [route, bytes([rng.choice((0x91, 0x81))]) * rng.choice((900, 2_000, 2_000, 200_000)), b""]


def _other_kind(rng, route):
    """A proper message, on a route that it does not belong to."""
    health = Health(**HEAD, group="x", state="running", restarts=0, pid=1, memory_bytes=0, nodes={}, edges={})
    others = [m for m in (_audio(), _picture(), health) if not route.endswith(m.port.encode())]
    return _sent(rng.choice(others), route)


def _other_shape(rng, route):
    if route.endswith(b"audio"):
        sound = [np.zeros((4, 4), np.float32), np.zeros(9, np.float64), np.float32(0).reshape(())]
        return _sent(_audio(samples=rng.choice(sound)), route)
    pictures = [np.zeros(8, np.uint8), np.zeros((8, 8), np.uint8), np.zeros((0, 8, 3), np.uint8)]
    return _sent(_picture(image=rng.choice(pictures)), route)


def _lies(rng, route):
    """An array whose header promises more, or less, than its buffer holds."""
    topic, header, buffer = _sent(_audio(), route)
    fields = msgspec.msgpack.decode(header)
    shape = rng.choice([[2**40], [2**62, 4], [-160], [161], [160, 2**63 - 1]])
    fields["samples"] = ["float32", shape, rng.choice([0, 0, 7])]
    return [topic, msgspec.msgpack.encode(fields), buffer]


def _thousands(rng, route):
    topic, header, buffer = _sent(_audio(), route)
    return [topic, header, buffer, *[b"x"] * rng.choice((14, 20, *[100] * 12, 5_000))]


def _far_numbers(rng, route):
    message = _audio() if route.endswith(b"audio") else _picture()
    name = rng.choice(("seq", "epoch", "t_start_ns", "t_end_ns"))
    return _sent(msgspec.structs.replace(message, **{name: rng.choice((2**63, 2**64 - 1))}), route)


def _text(rng, route):
    return [route, b"GET / HTTP/1.1\r\nHost: \x1b]0;owned\x07\r\n\r\n", bytes([10, 27])]


class Raw:
    """A peer that speaks ZMTP 3.0 with its own hands, so that it may break the rules; address as ZeroMQ's."""

    def __init__(self, address, kind=b"SUB", greets=True):
        self.socket = _connected(address)
        self.socket.settimeout(10)
        self.cut_off = False
        if greets:
            self.send(b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32))
            ready = b"\x05READY\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind
            self.send(bytes([4, len(ready)]) + ready)
            answer = b"-"
            with suppress(OSError):
                while answer and b"Socket-Type" not in answer:
                    answer = self.socket.recv(4096)

    def send(self, data):
        """Whether the other side still takes anything."""
        try:
            self.socket.sendall(data)
        except OSError:
            self.cut_off = True
        return not self.cut_off

    def send_parts(self, parts):
        frames = []
        for number, part in enumerate(parts, 1):
            more = number < len(parts)
            length = bytes([more, len(part)]) if len(part) < 256 else struct.pack(">BQ", 2 | more, len(part))
            frames += [length, part]
        return self.send(b"".join(frames))

    def is_cut_off_at_last(self):
        """What was sent may lie unread for a while, so it is waited for, 10 s at most."""
        try:
            while self.socket.recv(4096):
                pass
        except ConnectionError:
            return True
        except TimeoutError:
            return self.cut_off
        return True

    def close(self):
        self.socket.close()


def _connected(address, seconds=5):
    """As ZeroMQ does, it tries again for a while when nobody is there."""
    scheme, _, rest = address.partition("://")
    host, _, port = rest.rpartition(":")
    until = time.monotonic() + seconds
    while True:
        peer = socket.socket(socket.AF_UNIX if scheme == "ipc" else socket.AF_INET)
        try:
            peer.connect(rest if scheme == "ipc" else (host, int(port)))
            return peer
        except ConnectionRefusedError:
            peer.close()
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
