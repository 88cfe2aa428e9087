"""Who may read what leaves the machine."""

import re
import shutil
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
import zmq
from heard import transcript
from publishers import publishing

from nodes.outputs import keys
from nodes.outputs.follow import Follow
from nodes.outputs.publish import Publish
from nodes.outputs.screen import Screen
from nodes.runtime.errors import UserError
from nodes.runtime.node import Context

pytestmark = pytest.mark.live

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path):
    """Made as the error message tells a user to."""
    folder = tmp_path / "keys"
    made = subprocess.run(
        [sys.executable, "launch.py", "keys", str(folder)], cwd=ROOT, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture
def publisher(folder):
    def says():
        return [transcript("bin blue", final=True)]

    with publishing(says, "tcp://0.0.0.0:*", str(folder)) as node:
        yield node


def first_message(publisher, client=None, server=None, milliseconds=5000):
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.linger = 0
        if server:
            socket.curve_publickey, socket.curve_secretkey = client
            socket.curve_serverkey = server
        socket.subscribe("transcript.")
        socket.connect(publisher.address.replace("0.0.0.0", "127.0.0.1"))
        return socket.recv_multipart()[0] if socket.poll(milliseconds) else None


def test_what_the_page_for_subscribers_says_about_keys_reads(publisher, folder):
    page = (ROOT / "docs" / "topics.md").read_text()
    [lines] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    address = publisher.address.replace("0.0.0.0", "127.0.0.1")
    program = [
        "import zmq",
        "socket = zmq.Context().socket(zmq.SUB)",
        "socket.subscribe('transcript.')",
        lines.replace('"keys/', f'"{folder}/'),
        f"socket.connect('{address}')",
        "print(socket.recv_multipart()[0].decode() if socket.poll(5000) else 'nothing')",
    ]
    said = subprocess.check_output([sys.executable, "-c", "\n".join(program)], text=True)
    assert said == "transcript.final\n"


def test_the_right_key_reads(publisher, folder):
    got = first_message(publisher, keys.pair(folder, "client"), keys.public(folder, "server"))
    assert got == b"transcript.final"


def test_no_key_and_a_wrong_key_read_nothing(publisher, folder):
    assert first_message(publisher, milliseconds=700) is None
    stranger = zmq.curve_keypair()
    assert first_message(publisher, stranger, keys.public(folder, "server"), milliseconds=700) is None
    client = keys.pair(folder, "client")
    assert first_message(publisher, client, stranger[0], milliseconds=700) is None


def test_a_wrong_key_is_logged_once_with_its_key_and_address(publisher, folder, caplog):
    """However often it tries again; and nothing is logged of those who may read."""
    stranger = zmq.curve_keypair()
    for _ in range(5):
        assert first_message(publisher, stranger, keys.public(folder, "server"), milliseconds=200) is None
    assert first_message(publisher, keys.pair(folder, "client"), keys.public(folder, "server"))
    [line] = [record.getMessage() for record in caplog.records]
    assert line == (
        f"publish: refused 127.0.0.1 with the key {stranger[0].decode()}, which is not in {folder}"
        " (1 refused so far)"
    )


@pytest.mark.parametrize(
    ("server", "whom"), [(False, "somebody without a key"), (True, "somebody with another server's key")]
)
def test_whoever_fails_before_a_key_is_proved_is_logged_once(publisher, folder, caplog, server, whom):
    client, further, until = keys.pair(folder, "client"), 2, time.monotonic() + 10
    while further:  # each tries again every 100 ms
        other = zmq.curve_keypair()[0] if server else None
        assert first_message(publisher, client, other, milliseconds=400) is None
        # Both find that they do not agree; who hangs up before he was refused is not told of.
        further -= bool(caplog.records) or time.monotonic() > until
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"publish: refused {whom} (")


def settled_fds(process):
    """Open files once the connections that have ended are closed."""
    last, since, until = process.num_fds(), time.monotonic(), time.monotonic() + 5
    while time.monotonic() - since < 0.5 and time.monotonic() < until:
        time.sleep(0.02)
        if (now := process.num_fds()) != last:
            last, since = now, time.monotonic()
    return last


def test_a_thousand_wrong_keys_are_two_lines_and_no_file_stays_open(publisher, folder, caplog, monkeypatch):
    monkeypatch.setattr(publisher._broadcast._guard, "_quiet_s", 2.0)
    server, process = keys.public(folder, "server"), psutil.Process()
    first_message(publisher, keys.pair(folder, "client"), server)
    fds = settled_fds(process)
    with zmq.Context() as context:
        for _ in range(10):
            sockets = []
            for _ in range(100):
                socket = context.socket(zmq.SUB)
                socket.linger = 0
                socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
                socket.curve_serverkey = server
                socket.subscribe("")
                socket.connect(publisher.address.replace("0.0.0.0", "127.0.0.1"))
                sockets.append(socket)
            guard = publisher._broadcast._guard
            wanted, until = guard._refused - guard._refused % 100 + 100, time.monotonic() + 10
            while guard._refused < wanted and time.monotonic() < until:
                time.sleep(0.01)
            for socket in sockets:
                assert not socket.poll(0)
                socket.close()
    assert guard._refused == 1000
    until = time.monotonic() + 5
    while (process.num_fds() != fds or len(caplog.records) < 2) and time.monotonic() < until:
        time.sleep(0.02)
    assert process.num_fds() == fds
    first, second = [record.getMessage() for record in caplog.records][:2]
    assert first.startswith("publish: refused 127.0.0.1 with the key ")
    assert " more like it (" in second
    assert len(caplog.records) <= 4, "each as far from the last as all before together"
    assert first_message(publisher, keys.pair(folder, "client"), server)


@pytest.mark.parametrize("host", ["*", "0.0.0.0"])
def test_who_started_it_reads_what_is_published_to_all_machines(publisher, folder, host):
    port = publisher.address.rpartition(":")[2]
    follow = Follow(f"tcp://{host}:{port}", str(folder), Screen())
    follow.start()
    assert follow.connected.wait(5)
    follow.stop()
    assert "bin blue" in follow.heard
    assert "screen" not in {thread.name for thread in threading.enumerate()}


def test_who_started_it_keeps_a_bounded_number_of_sentences(publisher, folder, monkeypatch):
    monkeypatch.setattr("nodes.outputs.follow.HEARD", 3)
    follow = Follow(publisher.address, str(folder), Screen())
    follow.start()
    deadline = time.monotonic() + 10
    while len(follow.heard) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    follow.stop()
    assert list(follow.heard) == ["bin blue"] * 3


def test_a_port_left_to_chance_cannot_be_followed():
    with pytest.raises(UserError, match="give its number"):
        Follow("tcp://127.0.0.1:*", "", Screen())


def test_secrets_are_for_their_owner_only(folder):
    for name in ("server.key_secret", "client.key_secret", "hosts/edge.key_secret", "hosts/ray.token"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


def test_the_hosts_have_a_key_and_a_password_of_their_own_that_is_never_printed(folder):
    public, _ = keys.edge(folder)
    assert public not in (keys.public(folder, "server"), keys.public(folder, "client"))
    assert len(keys.token(folder)) == 64
    shutil.rmtree(folder / "hosts")
    before = keys.pair(folder, "client")
    told = "\n".join(keys.make(folder))
    assert "hosts: copy this folder" in told
    assert keys.pair(folder, "client") == before, "what there was is kept"
    assert keys.token(folder) not in told
    (folder / "hosts" / "ray.token").write_text("short")
    with pytest.raises(UserError, match=r"ray\.token: no such password, or damaged; make one with"):
        keys.token(folder)


@pytest.mark.parametrize(
    ("name", "mode", "said"),
    [
        ("server.key_secret", 0o640, "others may read this secret .mode 0640.; run `chmod go-rwx "),
        ("server.key_secret", 0o604, "others may read this secret"),
        ("", 0o777, "others may add keys to it .mode 0777.; run `chmod go-w "),
    ],
)
def test_keys_that_others_can_read_or_add_to_are_refused(folder, name, mode, said):
    (folder / name).chmod(mode)
    with pytest.raises(UserError, match=said) as error:
        Publish(address="tcp://0.0.0.0:*", keys=str(folder)).open(Context(name="publish"))
    assert "\n" not in str(error.value)
    assert str(folder / name) in str(error.value)


def test_a_damaged_key_of_a_subscriber_is_named(folder):
    (folder / "other.key").write_bytes(b"\xff")
    with pytest.raises(UserError, match=r"other\.key: no such key, or damaged"):
        Publish(address="tcp://0.0.0.0:*", keys=str(folder)).open(Context(name="publish"))


def test_keys_are_not_replaced_by_accident(folder):
    with pytest.raises(UserError, match="has keys already"):
        keys.make(folder)


@pytest.mark.parametrize("content", [None, b"", b"\xff\x00", b'metadata\ncurve\n    public-key = "short"\n'])
def test_a_key_that_is_missing_or_damaged_is_said_in_one_line(tmp_path, content):
    if content is not None:
        (tmp_path / "server.key_secret").write_bytes(content)
    node = Publish(address="tcp://0.0.0.0:*", keys=str(tmp_path))
    with pytest.raises(UserError, match=r"server\.key_secret.*launch\.py keys") as error:
        node.open(Context(name="publish"))
    assert "\n" not in str(error.value)
