"""``launch.py listen`` as a user sees it: a real process on a real socket."""

import io
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest
import zmq
from heard import face, gap, transcript, voice
from msgspec import structs
from publishers import Publisher

from nodes.outputs import keys
from nodes.outputs.listen import listen
from nodes.outputs.screen import Screen
from nodes.outputs.topics import examples
from nodes.runtime.errors import UserError

pytestmark = pytest.mark.live

ROOT = Path(__file__).parents[2]


@pytest.fixture
def publisher():
    publisher = Publisher()
    yield publisher
    publisher.close()


@pytest.fixture
def listener():
    """Starts ``listen`` in a process of its own."""
    started = []

    def start(address, *topics, as_json=False, keys="", **options):
        call = f"listen({address!r}, {list(topics)!r}, {as_json}, {str(keys)!r})"
        code = f"from nodes.outputs.listen import listen; raise SystemExit({call})"
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            **({"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options),
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def interrupt(process):
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    out, err = process.communicate(timeout=10)
    return out, err, time.monotonic() - start


def test_json_lines_for_a_program_until_ctrl_c(publisher, listener):
    publisher.say(transcript("bin"), transcript("bin blue", final=True))
    process = listener(publisher.address, "transcript.", as_json=True)
    lines = [json.loads(process.stdout.readline()) for _ in range(2)]
    assert [(line["topic"], line["text"]) for line in lines] == [
        ("transcript.partial", "bin"),
        ("transcript.final", "bin blue"),
    ]
    out, err, seconds = interrupt(process)
    assert (out, err, process.returncode) == ("", "", 0)
    assert seconds < 1.0


def test_a_person_reads_finals_with_their_mode_and_why_there_is_no_picture(publisher, listener):
    publisher.say(voice(mode="audio"), gap("camera 0 not found"))
    process = listener(publisher.address)
    publisher.say(transcript("bin"), transcript("bin blue at f two now", final=True, mode="audio"))
    said = []
    while len(said) < 2:
        line = process.stdout.readline()
        if "f two" in line or "no lips" in line:
            said.append(line.strip())
    assert any(line.endswith("audio bin blue at f two now") for line in said)
    assert any(line.endswith("no lips: camera 0 not found") for line in said)
    out, err, _ = interrupt(process)
    assert (err, process.returncode) == ("", 0)
    assert "Traceback" not in out


def test_of_two_recognisers_each_line_says_whose_it_is(publisher, listener):
    process = listener(publisher.address, "transcript.")
    general = structs.replace(transcript("bean blue", mode="audio"), stream="english")
    publisher.say(transcript("bin"), general)
    publisher.say(transcript("bin blue", final=True), structs.replace(general, final=True))
    said = [process.stdout.readline().strip() for _ in range(2)]
    assert said[0].endswith("av    transcribe: bin blue")
    assert said[1].endswith("audio english: bean blue")


def test_partials_change_in_place_on_a_terminal(publisher, listener):
    leader, follower = pty.openpty()
    process = listener(publisher.address, "transcript.", stdout=follower, stderr=follower, text=False)
    os.close(follower)
    seen = b""
    for text in ("bin", "bin blue"):
        publisher.say(transcript(text))
        while not seen.rstrip(b"\x1b[0m \r\n").endswith(text.encode()):
            seen += os.read(leader, 4096)
    assert b"\x1b[2K" in seen
    assert seen.count(b"\n") == 0
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 0
    os.close(leader)


def test_topics_are_filtered_by_their_beginning(publisher, listener):
    process = listener(publisher.address, "voice", as_json=True)
    publisher.say(transcript("bin"), voice())
    assert json.loads(process.stdout.readline())["topic"] == "voice"


def test_repeats_for_others_are_not_printed_again(publisher, listener):
    publisher.say(transcript("bin blue", final=True))
    first = listener(publisher.address, "transcript.", as_json=True)
    assert json.loads(first.stdout.readline())["text"] == "bin blue"
    second = listener(publisher.address, "transcript.", as_json=True)
    assert json.loads(second.stdout.readline())["text"] == "bin blue"
    publisher.say(transcript("lay red", final=True))
    assert json.loads(first.stdout.readline())["text"] == "lay red"


def test_it_waits_for_hearsee_says_so_and_takes_it_up_when_it_comes(publisher, listener):
    address = publisher.address
    publisher.close()
    process = listener(address, as_json=True)
    assert process.stderr.readline() == f"nothing heard from {address} for 3 s; is hearsee running?\n"
    again = Publisher(address)
    try:
        assert json.loads(process.stdout.readline())["topic"] == "status"
    finally:
        again.close()


def test_it_comes_back_by_itself_after_hearsee_restarted(publisher, listener):
    process = listener(publisher.address, "status", as_json=True)
    assert json.loads(process.stdout.readline())["topic"] == "status"
    publisher.close()
    again = Publisher(publisher.address)
    try:
        deadline = time.monotonic() + 10
        while json.loads(process.stdout.readline())["seq"] != 0:
            assert time.monotonic() < deadline
    finally:
        again.close()


def test_a_pipe_that_has_seen_enough_ends_it(publisher, listener):
    process = listener(publisher.address, as_json=True)
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=10) == 0
    assert process.stderr.read() == ""


def test_keys_are_used(tmp_path, listener):
    keys.make(tmp_path)
    publisher = Publisher("tcp://0.0.0.0:*", keys=str(tmp_path))
    try:
        address = publisher.address.replace("0.0.0.0", "127.0.0.1")
        process = listener(address, as_json=True, keys=tmp_path)
        assert json.loads(process.stdout.readline())["topic"] == "status"
    finally:
        publisher.close()


def test_a_bad_address_is_said_in_one_line():
    with pytest.raises(UserError, match=r"^localhost: not an address; write it like tcp:"):
        listen("localhost", [], as_json=True)


def test_something_else_on_the_port_is_said_in_one_line():
    with zmq.Context() as context, context.socket(zmq.XPUB) as other:
        port = other.bind_to_random_port("tcp://127.0.0.1")

        def chatter():
            other.recv()
            other.send_multipart([b"weather", b"42"])

        thread = threading.Thread(target=chatter)
        thread.start()
        with pytest.raises(UserError, match="not hearsee publishes there"):
            listen(f"tcp://127.0.0.1:{port}", [], as_json=True)
        thread.join()


def test_voice_and_face_written_to_a_pipe_are_told_when_they_change(publisher, listener):
    process = listener(publisher.address, "voice", "face")
    publisher.say(voice(mode="av"), face())
    lines = {tuple(process.stdout.readline().split(maxsplit=2)[1:]) for _ in range(2)}
    assert lines == {("av", "face 2\n"), ("av", "speaking\n")}
    publisher.say(voice(mode="av"), face(), voice(mode="audio"))
    assert process.stdout.readline().split()[1:] == ["audio", "speaking"]


def test_what_is_wrong_is_said_once_though_a_figure_in_it_changes_every_second():
    out, status = io.StringIO(), msgspec.to_builtins(examples()["status"])
    with Screen(out) as screen:
        for says in ("too loud, 0.4% of the sound is cut off", "too loud, 12.0% of the sound is cut off"):
            screen.show("status", status | {"says": says})
        screen.show("status", status | {"says": "reading sound and lips"})
    said = [line.split(maxsplit=2)[2] for line in out.getvalue().splitlines()]
    assert said == ["too loud, 0.4% of the sound is cut off", "reading sound and lips"]


def test_of_two_recognisers_the_voice_of_one_is_told(publisher, listener):
    process = listener(publisher.address, "voice")
    general = structs.replace(voice(mode="audio"), stream="english")
    publisher.say(voice(mode="av"), general)
    said = [process.stdout.readline().strip()]
    for _ in range(3):
        publisher.say(general, voice(mode="av"))
    publisher.say(structs.replace(voice(mode="av"), speaking=False))
    while "silent" not in said[-1]:
        said.append(process.stdout.readline().strip())
    modes = [line.split()[1] for line in said]
    assert modes[modes.index("av") :] == ["av", "av"], "once the better one is there the other is not told"


def test_a_terminal_shows_mode_reliability_and_drops_below_the_words(publisher, listener):
    leader, follower = pty.openpty()
    process = listener(publisher.address, "", stdout=follower, stderr=follower, text=False)
    os.close(follower)
    publisher.say(transcript("bin"), voice(mode="audio"), face())
    seen = b""
    while not all(fact in seen for fact in (b"bin", b"audio", b"sound 0.90", b"face 0.75", b"dropped 0")):
        seen += os.read(leader, 4096)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 0
    os.close(leader)
