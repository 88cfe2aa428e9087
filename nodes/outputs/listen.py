"""``launch.py listen``: prints what a running hearsee publishes, for a person or as JSON lines."""

import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import zmq

from nodes.outputs.screen import Screen
from nodes.outputs.subscriber import read, subscribe

FOR_A_PERSON = ["transcript.", "status", "sentiment"]
QUIET_S = 3.0
POLL_MS = 200
STREAMS = 1000


def listen(address: str, topics: list[str], as_json: bool, keys: str = "") -> int:
    """Prints every message whose topic begins with one of ``topics`` until Ctrl-C; returns the exit status 0.

    topics: [] for all of them as JSON, and for transcripts, status and sentiment to a person.
    keys: folder with ``server.key`` and ``client.key_secret``, where the publisher has keys.
    Waits for a publisher that is not there yet, and for one that went away.  Raises UserError for an address
    that is none, for keys that are not there, and where something else than hearsee publishes.
    """
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        socket = subscribe(context, address, topics or ([""] if as_json else FOR_A_PERSON), keys)
        if as_json:
            _print_lines(_messages(socket, address))
        else:
            with Screen() as screen:
                for topic, body in _messages(socket, address):
                    screen.show(topic, body)
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # `| head` has seen enough; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        context.destroy(linger=0)
    return 0


def _messages(socket: zmq.Socket[bytes], address: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Topic and body of each message once; says so on stderr when there is none for a while."""
    had: dict[tuple[str, str], int] = {}
    heard_s = time.monotonic()
    said_quiet = False
    while True:
        if not socket.poll(POLL_MS):
            if not said_quiet and time.monotonic() - heard_s > QUIET_S:
                print(
                    f"nothing heard from {address} for {QUIET_S:.0f} s; is hearsee running?", file=sys.stderr
                )
                said_quiet = True
            continue
        topic, body = read(address, socket.recv_multipart())
        heard_s, said_quiet = time.monotonic(), False
        stream, emitted = body["stream"], body["t_emit_ns"]
        if body.get("repeat") and had.get((topic, stream)) == emitted:
            continue
        if len(had) > STREAMS:  # whoever publishes so many has no end of them
            had.clear()
        had[topic, stream] = emitted
        yield topic, body


def _print_lines(messages: Iterator[tuple[str, dict[str, Any]]]) -> None:
    for topic, body in messages:
        sys.stdout.buffer.write(msgspec.json.encode({"topic": topic} | body) + b"\n")
        sys.stdout.buffer.flush()
