"""What the person who started a run sees of it: a subscriber like any other, in a thread of its own."""

import logging
import math
import os
import signal
import sys
import threading
import time
from collections import deque
from typing import Any

import zmq

from nodes.outputs.screen import Screen
from nodes.outputs.subscriber import read, subscribe
from nodes.runtime.errors import UserError

log = logging.getLogger(__name__)

TOPICS = ("transcript.", "status", "voice", "sentiment")
POLL_MS = 100
HEARD = 1000
REST_S = 0.5  # for what has arrived when it is stopped, also where there is no end of it


class Follow:
    """Shows what is published at ``address`` from ``start`` to ``stop``.

    heard: the words of the last finals, at most 1000: it may run for weeks.
    address: as the publisher binds it.  connected: set once the publisher has answered.  UserError for an
    address that nobody can connect to, and for keys that are not there.
    """

    def __init__(self, address: str, keys: str, screen: Screen) -> None:
        self.heard: deque[str] = deque(maxlen=HEARD)
        self.connected = threading.Event()
        self._screen = screen
        self._stop = threading.Event()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._address = address
        self._socket = subscribe(self._context, address, TOPICS, keys)
        self._thread = threading.Thread(target=self._run, name="screen", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Shows what has already arrived, then ends."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(1.0)
        self._context.destroy(linger=0)

    def _run(self) -> None:
        until_s = math.inf
        while time.monotonic() < until_s:
            stopping = self._stop.is_set()
            if stopping and until_s == math.inf:
                until_s = time.monotonic() + REST_S
            if not self._socket.poll(POLL_MS):
                if stopping:
                    return
                continue
            parts = self._socket.recv_multipart()
            self.connected.set()
            try:
                self._show(*read(self._address, parts))
            except UserError as error:
                log.warning("%s", error)
            except BrokenPipeError:
                # `| head` has seen enough: stop as with Ctrl-C, and let nothing more be written there.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                signal.raise_signal(signal.SIGINT)
                return

    def _show(self, topic: str, body: dict[str, Any]) -> None:
        if body.get("repeat"):
            return
        if topic == "transcript.final":
            self.heard.append(body["text"])
        self._screen.show(topic, body)
