"""The whole pipeline as a user starts it, on a clip, with a subscriber: what benchmarks and tests look at."""

import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import zmq

ROOT = Path(__file__).resolve().parents[2]
TALKER = ROOT / "nodes" / "sources" / "talker" / "talker.mp4"
START_S = 120.0


def free_address() -> str:
    """A loopback address that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


@contextmanager
def launched(address: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """``python launch.py`` with ``options``, publishing at ``address``; stopped by SIGINT at the end.

    What it said is shown where it failed by itself.
    """
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "launch.py"), "run", "--address", address, *options],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=said,
            text=True,
        )
        try:
            yield process
        finally:
            if process.poll():
                said.seek(0)
                print(said.read().strip(), file=sys.stderr)
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def subscribed(address: str, topic: str = "") -> Iterator[zmq.Socket[bytes]]:
    context = zmq.Context()
    subscriber = context.socket(zmq.SUB)
    subscriber.subscribe(topic)
    subscriber.connect(address)
    try:
        yield subscriber
    finally:
        context.destroy(linger=0)


def wait_for(subscriber: "zmq.Socket[bytes]", process: subprocess.Popen[str], topic: bytes) -> None:
    """Until something was published under ``topic``; SystemExit if the process ended."""
    until_s = time.monotonic() + START_S
    while time.monotonic() < until_s:
        if process.poll() is not None:
            raise SystemExit(f"launch.py ended with {process.returncode}")
        if subscriber.poll(200) and subscriber.recv_multipart()[0].startswith(topic):
            return
    raise SystemExit(f"nothing published under {topic.decode()} for {START_S:.0f} s")
