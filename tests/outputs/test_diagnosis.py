"""A running hearsee asked how it is: what a person is told, and what to do."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from heard import health, voice
from publishers import publishing

from nodes.outputs.bodies import Emission
from nodes.outputs.diagnosis import OTHERWISE, ROUTINE, diagnose
from nodes.outputs.status import Status
from nodes.runtime.errors import UserError

pytestmark = pytest.mark.live

ROOT = Path(__file__).parents[2]
SECOND = 1_000_000_000


def status(*messages, age_s=0.0):
    """The body of a status of ``messages``, as a subscriber has it."""
    import json

    import msgspec

    now_ns = time.monotonic_ns()
    told = Status("publish", 0, now_ns - 90 * SECOND)
    for message in messages:
        told.hear(message, now_ns - round(age_s * SECOND))
    return json.loads(msgspec.json.encode(told.body(Emission(seq=0, now_ns=now_ns, wall_ns=0))))


def node(**fields):
    return {"state": "ok", "messages": 9, **fields}


def bad(findings):
    return {finding.thing: finding.remedy for finding in findings if finding.remedy and finding.needed}


def test_a_pipeline_that_is_well_has_nothing_to_remedy():
    body = status(voice(), health(nodes={"face": node(), "transcribe": node()}))
    findings = diagnose(body, body)
    assert not bad(findings)
    assert {"hearsee", "group perceive", "face", "transcribe"} <= {finding.thing for finding in findings}


@pytest.mark.parametrize(
    ("trouble", "remedy"),
    [
        ("camera 0 not found", "plug it in"),
        ("camera /dev/video2 unplugged or not answering", "plug it in"),
        ("camera 0 is frozen, it sends the same picture again and again", "unplug the camera"),
        ("camera 0 sees only black, is it covered or in the dark", "lens cap"),
        ("microphone 'default' unplugged, or its sound server gone", "sound server"),
        ("PortAudio is missing: install libportaudio2", "apt-get"),
        ("pictures of camera 0 dropped, the computer is too busy", "end other programs"),
        ("the clock of camera 0 jumped", "another device"),
        ("something nobody thought of", OTHERWISE),
    ],
)
def test_every_reason_for_a_gap_has_its_remedy(trouble, remedy):
    body = status(health("capture", nodes={"device": node(gaps={"picture": trouble})}))
    assert remedy in bad(diagnose(body, body))["device"]


@pytest.mark.parametrize(
    ("warning", "remedy"),
    [
        ("microphone 'default' gives nothing but zeros, is it muted", "unmute"),
        ("microphone 'default' is too loud, 3.1% of the sound is cut off", "gain"),
        ("camera 0 gives 5 pictures a second, too few to read lips well", "light"),
    ],
)
def test_what_is_wrong_with_a_device_that_works_is_told_too(warning, remedy):
    body = status(health("capture", nodes={"device": node(warnings=[warning])}))
    assert body["says"] == warning
    assert remedy in bad(diagnose(body, body))["device"]


def test_nobody_in_view_is_no_fault():
    body = status(voice(mode="audio"), health(nodes={"face": node(gaps={"face": "no face"})}))
    assert not bad(diagnose(body, body))


def test_groups_that_are_down_or_were_given_up_are_told_with_what_to_do():
    body = status(health("perceive", "gave up"), health("capture", "restarting"))
    assert "start it again" in bad(diagnose(body, body))["group perceive"]
    assert bad(diagnose(body, body))["group capture"].startswith(ROUTINE)
    lost = status(health("perceive"), age_s=7.0)
    assert bad(diagnose(lost, lost))["group perceive"].startswith(ROUTINE)


def test_a_group_on_a_host_that_is_not_there_is_told_with_how_to_join():
    body = status(health("perceive", "waiting"), health("capture", "unreachable"))
    remedies = bad(diagnose(body, body))
    assert "launch.py join" in remedies["group perceive"]
    assert "network" in remedies["group capture"]


def test_a_clock_that_is_off_is_told_and_no_fault():
    clock = {"rate_ppm": -500.0, "offset_ms": 3.0, "rate_uncertainty_ppm": 9.0, "uncertainty_ms": 1.0}
    body = status(health("capture", nodes={"microphone": node(clock=clock)}))
    assert not bad(diagnose(body, body))
    [finding] = [finding for finding in diagnose(body, body) if finding.thing == "microphone"]
    assert finding.found == "ok, its clock runs 500 ppm fast, which is corrected"


def test_what_is_dropped_and_what_is_late_is_told():
    def edges(dropped):
        return status(health(edges={"camera/picture>perceive": {"dropped": dropped}}))

    before, now = edges(3), edges(11)
    now["delays"] = {"voice": {"p50_ms": 700.0, "p99_ms": 900.0}}
    assert {"edge camera/picture>perceive", "delay"} <= set(bad(diagnose(before, now)))
    assert not bad(diagnose(now | {"delays": {}}, now | {"delays": {}}))


def test_the_command_asks_who_publishes_and_exits_with_what_it_found():
    with publishing(lambda: [health("perceive", "gave up"), voice(mode="audio")]) as publisher:
        command = [sys.executable, "launch.py", "doctor", "--live", "--address", publisher.address]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1
    assert "group perceive" in ran.stdout
    assert "gave up" in ran.stdout
    assert "not well: group perceive" in ran.stdout
    assert ran.stderr == ""


def test_where_nobody_publishes_one_line_says_so(monkeypatch):
    from nodes.outputs import diagnosis

    monkeypatch.setattr(diagnosis, "PATIENCE_S", 0.3)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(UserError, match="nothing is published at"):
        diagnosis.ask(f"tcp://127.0.0.1:{port}")
