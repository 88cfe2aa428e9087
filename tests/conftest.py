"""Devices for tests: what a user would plug in, made of real servers on this machine."""

import signal

import pytest
from fixtures_pulse import SoundServer

# A suite that a shell started in the background ignores Ctrl-C, and so would every program it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def sound_server(tmp_path, monkeypatch):
    """A running PulseAudio server of the test's own; PortAudio in this process sees its microphone."""
    pytest.importorskip(
        "sounddevice", reason="PortAudio is missing: apt-get install libportaudio2", exc_type=OSError
    )
    if missing := SoundServer.missing():
        pytest.skip(missing)
    server = SoundServer(tmp_path)
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)
    server.start()
    yield server
    server.stop()
