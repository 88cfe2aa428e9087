"""What systemd hears, over the datagram socket it would give."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nodes.outputs import keys
from nodes.runtime import notify
from nodes.runtime.notify import Notify

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["path", "abstract"])
def systemd(request, tmp_path):
    """A socket as systemd binds it, and what it sets NOTIFY_SOCKET to."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@hearsee-test-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind("\0" + name[1:] if name.startswith("@") else name)
        bound.settimeout(1.0)
        yield bound, {"NOTIFY_SOCKET": name}


def test_it_hears_ready_alive_and_stopping(systemd, monkeypatch):
    bound, environment = systemd
    monkeypatch.setattr(notify, "TELL_S", 0.0)
    told = Notify(environment)
    told.ready()
    assert bound.recv(200) == b"READY=1\nSTATUS=running"
    told.look({"capture": "running", "perceive": "restarting"})
    assert bound.recv(200) == b"WATCHDOG=1\nSTATUS=capture running, perceive restarting"
    told.look({"capture": "running", "perceive": "gave up"})
    assert bound.recv(200) == b"STATUS=capture running, perceive gave up", "systemd may start it all anew"
    told.stopping()
    assert bound.recv(200).startswith(b"STOPPING=1\n")


def test_it_hears_once_a_second_however_often_one_looks(systemd):
    bound, environment = systemd
    told = Notify(environment)
    for _ in range(100):
        told.look({"capture": "running"})
    assert bound.recv(200).startswith(b"WATCHDOG=1")
    bound.setblocking(False)
    with pytest.raises(BlockingIOError):
        bound.recv(200)


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": "/no/such/socket"}])
def test_without_systemd_nothing_happens(environment):
    told = Notify(environment)
    told.ready()
    told.look({"capture": "running"})
    told.stopping()


def test_a_socket_that_nobody_reads_holds_nothing_up(systemd, monkeypatch):
    _, environment = systemd
    monkeypatch.setattr(notify, "TELL_S", 0.0)
    told = Notify(environment)
    for _ in range(10_000):
        told.look({"capture": "running"})


@pytest.mark.live
def test_a_second_host_is_ready_while_it_waits_for_the_first_and_stops_at_once(systemd, tmp_path):
    bound, environment = systemd
    bound.settimeout(30.0)
    keys.make(tmp_path / "keys")
    with socket.socket() as nobody:  # who has bound it and does not listen keeps others away
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        command = ["launch.py", "join", address, "--as", "robot", "--keys", str(tmp_path / "keys")]
        join = subprocess.Popen([sys.executable, *command], cwd=ROOT, env=environment)
        try:
            assert bound.recv(200) == b"READY=1\nSTATUS=running"
            assert bound.recv(200) == f"STATUS=waiting for hearsee at {address}".encode()
            join.send_signal(signal.SIGTERM)
            begun_s = time.monotonic()
            assert bound.recv(200).startswith(b"STOPPING=1\n")
            assert join.wait(10) == 0
            assert time.monotonic() - begun_s < 2.0
        finally:
            join.kill()
            join.wait(10)
