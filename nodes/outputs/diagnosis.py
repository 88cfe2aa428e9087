"""``launch.py doctor --live``: what is wrong with a hearsee that runs, and a remedy for each thing."""

import re
import time
from typing import Any

import zmq
from rich.console import Console

from nodes.outputs.status import MISSING
from nodes.outputs.subscriber import status_in, subscribe
from nodes.runtime.doctor import table
from nodes.runtime.errors import UserError
from nodes.runtime.probes import Finding

PATIENCE_S = 5.0
STATUSES = 3  # two seconds, in which drops and restarts are seen to rise
LATE_MS = 300.0  # from capture to publication; it is about 25 on a laptop that is not too busy
BUSY = "the computer is too busy: end other programs, ask the camera for fewer or smaller pictures"
ROUTINE = "it is started again by itself, within 5 s; if it stays so: "
OFF_PPM = 100.0
# What a Gap, a warning or an error says, and what to do about it.  The first that is found in it counts.
REMEDIES = [
    ("PortAudio is missing", "sudo apt-get install libportaudio2"),
    ("is several", "write more of the microphone's name, or its index, in pipeline.yaml"),
    (
        "^camera .*(not found|unplugged)",
        "plug it in, or switch it on; `python launch.py doctor` lists what there is",
    ),
    (
        "^microphone .*(not found|unplugged|no sound)",
        "plug it in, or start the sound server; `python launch.py doctor` lists what there is",
    ),
    (
        "is frozen",
        "unplug the camera and plug it in, or restart it; a still picture shown to it looks the same",
    ),
    ("only black", "take off the lens cap, open the shutter, or switch on a light"),
    (
        "nothing but zeros",
        "unmute it: a key or switch on the device, or `pactl set-source-mute @DEFAULT_SOURCE@ 0`",
    ),
    ("is cut off", "turn its gain down, or go further away: `pactl set-source-volume @DEFAULT_SOURCE@ -20%`"),
    (
        "pictures a second",
        "give it more light, a smaller picture or another USB port, and see `fps` in pipeline.yaml",
    ),
    ("recording stopped", "make room on that disk, or record less: see docs/recording.md"),
    ("disk is too slow", "record to another disk, or smaller pictures: `max_side` of the camera"),
    ("too busy|overflow", BUSY),
    ("stalls", "if it lasts: unplug the device and plug it in; of a network camera look at the network"),
    ("clock .* jumped", "nothing, if it was once; again and again: another device or driver"),
    ("cannot be (opened|started)", "see that no other program has it, and that this user may use it"),
    ("no face", "nothing, if nobody is in view; else turn to the camera, with light on the face"),
    ("starting", "wait a moment"),
    ("end of file|in .*\\.[a-z0-9]+$", "nothing: the file is so"),
]
ELSEWHERE = {
    "waiting": "start `python launch.py join` on that host (docs/hosts.md)",
    "unreachable": "look at the network and at that host; it is taken back by itself (docs/hosts.md)",
}
OTHERWISE = "it is tried again by itself; if it stays so, the lines of `python launch.py` say more"
HARMLESS = ("no face", "starting", "end of file")


def ask(address: str, keys: str = "") -> int:
    """Prints a table of what a hearsee that publishes at ``address`` says of itself.

    keys: folder of its keys.  Returns 0 where all is well, else 1.  UserError where none publishes there.
    """
    statuses = _listen(address, keys)
    findings = diagnose(statuses[0], statuses[-1])
    console = Console(highlight=False)
    console.print(table(findings))
    if bad := [finding.thing for finding in findings if finding.remedy and finding.needed]:
        console.print(f"\nnot well: {', '.join(dict.fromkeys(bad))}", style="red")
        return 1
    console.print("\nall is well")
    return 0


def diagnose(before: dict[str, Any], now: dict[str, Any]) -> list[Finding]:
    """What two bodies of ``status`` say, some seconds apart."""
    findings = [Finding("hearsee", f"has been running for {_time(now['uptime_s'])}, mode {now['mode']}")]
    for name, group in now["groups"].items():
        findings.append(_group(name or "supervisor", group, before["groups"].get(name, group)))
    for name, node in now["nodes"].items():
        findings += _node(name, node)
    for name, dropped in now["drops"].items():
        if (lost := dropped - before["drops"].get(name, 0)) > 0:
            over_s = (now["t_end_ns"] - before["t_end_ns"]) / 1e9
            findings.append(Finding(f"edge {name}", f"dropped {lost} messages in {over_s:.0f} s", BUSY))
    if delay := now["delays"].get("voice"):
        found = (
            f"{delay['p50_ms']:.0f} ms from capture to publication, 99 of 100 within {delay['p99_ms']:.0f} ms"
        )
        findings.append(Finding("delay", found, BUSY if delay["p50_ms"] > LATE_MS else ""))
    return findings


def _group(name: str, group: dict[str, Any], before: dict[str, Any]) -> Finding:
    state, restarts = group["state"], group["restarts"]
    memory = f", {group['memory_bytes'] / 2**20:.0f} MiB" if group["memory_bytes"] else ""
    often = "once" if restarts == 1 else f"{restarts} times"
    found = f"{state}{memory}" + (f", restarted {often}" if restarts else "")
    why = "the lines of `python launch.py` say why"
    if state == "gave up":
        return Finding(f"group {name}", found, f"{why}; put that right, then end hearsee and start it again")
    if state == "lost":
        return Finding(f"group {name}", f"not heard for {group['heard_s']:.0f} s", ROUTINE + why)
    if state in ELSEWHERE:
        found = f"{state}, on host {group.get('host') or '?'}"
        return Finding(f"group {name}", found, ELSEWHERE[state])
    if state not in ("running", "finished"):
        return Finding(f"group {name}", found, ROUTINE + why)
    if restarts > before["restarts"]:
        return Finding(f"group {name}", f"{found}, just now again", why)
    return Finding(f"group {name}", found, why if restarts else "", needed=False)


def _node(name: str, node: dict[str, Any]) -> list[Finding]:
    findings = []
    if (state := node.get("state", "ok")) != "ok":
        findings.append(Finding(name, state, _remedy(state)))
    for port, reason in node.get("gaps", {}).items():
        found = f"{MISSING.get(port, f'no {port}')}: {reason}"
        findings.append(Finding(name, found, _remedy(reason), not re.search("|".join(HARMLESS), reason)))
    findings += [Finding(name, warning, _remedy(warning)) for warning in node.get("warnings", ())]
    return findings or [Finding(name, f"ok{_clock(node)}")]


def _clock(node: dict[str, Any]) -> str:
    """Of a device whose clock is noticeably off: nothing is wrong, its times are corrected by it."""
    ppm = node.get("clock", {}).get("rate_ppm", 0.0)
    way = "slow" if ppm > 0 else "fast"
    return f", its clock runs {abs(ppm):.0f} ppm {way}, which is corrected" if abs(ppm) >= OFF_PPM else ""


def _remedy(trouble: str) -> str:
    return next((remedy for words, remedy in REMEDIES if re.search(words, trouble)), OTHERWISE)


def _time(seconds: float) -> str:
    minutes, hours = seconds / 60, seconds / 3600
    return f"{hours:.0f} h" if hours >= 2 else f"{minutes:.0f} min" if minutes >= 2 else f"{seconds:.0f} s"


def _listen(address: str, keys: str) -> list[dict[str, Any]]:
    statuses: dict[int, dict[str, Any]] = {}
    with zmq.Context() as context, subscribe(context, address, ["status"], keys) as socket:
        until_s = time.monotonic() + PATIENCE_S
        while len(statuses) < STATUSES and (left_s := until_s - time.monotonic()) > 0:
            if socket.poll(round(left_s * 1000)):
                body = status_in(address, socket.recv_multipart())
                statuses[body["seq"]] = body
    if not statuses:
        raise UserError(
            f"nothing is published at {address} within {PATIENCE_S:.0f} s: start `python launch.py`, or name"
            " where it publishes: doctor --live --address ADDRESS"
        )
    return list(statuses.values())
