"""A run of ``python launch.py`` that goes on, and what it leaves behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from benchmarks.measured.launched import free_address, subscribed

ROOT = Path(__file__).resolve().parents[2]
TALKER = ROOT / "nodes" / "sources" / "talker" / "talker.mp4"


class Running:
    """``launch.py run`` with ``arguments``, and what it publishes; ``environment`` is added to ours."""

    def __init__(self, *arguments, **environment):
        self.address = free_address()
        self.process = subprocess.Popen(
            [sys.executable, "launch.py", "run", "--address", self.address, *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def __enter__(self):
        self._subscribed = subscribed(self.address)
        self.subscriber = self._subscribed.__enter__()
        return self

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(20)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
            self._subscribed.__exit__(None, None, None)

    def heard(self, seconds=60):
        """Topic and body of everything published until the run ends, at most ``seconds``."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.subscriber.poll(100):
                topic, body = self.subscriber.recv_multipart()
                yield topic.decode(), json.loads(body)
            elif self.process.poll() is not None:
                return

    def next(self, topic, seconds=60, **fields):
        """The next body published under ``topic`` in which ``fields`` are so."""
        seen, status = Counter(), None
        for name, body in self.heard(seconds):
            if name == topic and all(body[key] == value for key, value in fields.items()):
                return body
            seen[name, body["mode"]] += 1
            status = body if name == "status" else status
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        said, _ = self.process.communicate(timeout=20)
        raise AssertionError(f"no {topic} with {fields} in {seconds} s but {seen}, {status}; it said: {said}")


def left_behind(pid):
    """Processes and folders of the run that process ``pid`` was."""
    left = [str(path) for path in Path("/tmp").glob(f"hearsee-{pid}-*")]
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if f"hearsee-{pid}-".encode() in command:
            left.append(command.replace(b"\0", b" ").decode())
    return left
