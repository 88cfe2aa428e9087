"""Streams on a real PortAudio device that are given up in bad order."""

import threading
import time

import pytest

from nodes.sources import portaudio

pytestmark = pytest.mark.live


class Stuck:
    """A stream whose device is gone in such a way that PortAudio waits for it for ever."""

    def __init__(self):
        self.released = threading.Event()

    def abort(self):
        self.released.wait(30)

    def close(self):
        pass


def test_a_stream_that_cannot_be_closed_keeps_nobody_waiting(sound_server):
    stuck, blocks = Stuck(), threading.Semaphore(0)
    try:
        first = portaudio.open_input("default", lambda *_: None)
        portaudio.close(first)
        portaudio._streams.add(id(stuck))
        begun_s = time.monotonic()
        portaudio.close(stuck)
        second = portaudio.open_input("default", lambda *_: blocks.release())
        assert time.monotonic() - begun_s < 3
        assert blocks.acquire(timeout=5), "the microphone is heard all the same"
        portaudio.close(second)
    finally:
        stuck.released.set()
