"""``launch.py top``: a running hearsee as a live table, refreshed from its ``status``."""

import time
from collections.abc import Iterator
from typing import Any

import zmq
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from nodes.outputs.screen import COLOURS
from nodes.outputs.subscriber import status_in, subscribe
from nodes.runtime.errors import UserError
from nodes.runtime.printable import printable

PATIENCE_S = 5.0
STATUS_S = 1.0  # how often it is told; the table says when it was not
POLL_MS = 200
WIDTH = 160  # of what is written to a file or a pipe


def top(address: str, once: bool = False, keys: str = "") -> int:
    """Shows the table until Ctrl-C, or once; returns the exit status 0.

    On a terminal it changes in place; into a file or a pipe it is written once a second.
    keys: folder of keys, where the publisher has some.  Raises UserError where nothing answers in 5 s.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        statuses = _statuses(subscribe(context, address, ["status"], keys), address)
        before = now = next(statuses)
        if once:
            console.print(table(before, now))
        elif console.is_terminal:
            with Live(table(before, now), console=console, auto_refresh=False, screen=True) as live:
                told_s = time.monotonic()
                for status in statuses:
                    if status:
                        before, now, told_s = now, status, time.monotonic()
                    live.update(table(before, now, time.monotonic() - told_s), refresh=True)
        else:
            console.print(table(before, now))
            for status in filter(None, statuses):
                before, now = now, status
                console.print("", table(before, now))
    except KeyboardInterrupt:
        pass
    finally:
        context.destroy(linger=0)
    return 0


def _statuses(socket: Any, address: str) -> Iterator[dict[str, Any]]:
    """Each status once; once there was one, an empty one where none came for a while."""
    seq, until_s = None, time.monotonic() + PATIENCE_S
    while True:
        if socket.poll(POLL_MS):
            status = status_in(address, socket.recv_multipart())
            if status["seq"] != seq:
                seq = status["seq"]
                yield status
        elif seq is not None:
            yield {}
        elif time.monotonic() > until_s:
            raise UserError(
                f"nothing is published at {address} within {PATIENCE_S:.0f} s: start `python launch.py`, or"
                " name where it publishes: top ADDRESS"
            )


def table(before: dict[str, Any], now: dict[str, Any], silent_s: float = 0.0) -> Group:
    """The table of ``now``; what happens a second is counted from ``before``."""
    seconds = (now["t_end_ns"] - before["t_end_ns"]) / 1e9
    return Group(
        _head(now, silent_s),
        "",
        _groups(now),
        "",
        _nodes(before, now, seconds),
        "",
        _edges(before, now),
        "",
        _topics(now),
        *((Text(), _hosts(now)) if now.get("clocks") else ()),
    )


def _head(now: dict[str, Any], silent_s: float) -> Text:
    sound, lips = (now["modalities"].get(sense) or 0.0 for sense in ("audio", "video"))
    head = Text.assemble(
        (now["mode"], COLOURS.get(now["mode"], "")),
        f"  sound {sound:.2f}  lips {lips:.2f}  up {now['uptime_s']:.0f} s  ",
        printable(now["says"]),
    )
    if silent_s > 2 * STATUS_S:
        head.append(f"\nnot heard for {silent_s:.0f} s", style="red")
    return head


def _groups(now: dict[str, Any]) -> Table:
    made = _columns("group", "state", "restarts>", "memory>", "process>", "heard>")
    for name, group in now["groups"].items():
        good = group["state"] in ("running", "finished")
        made.add_row(
            _text(name or "supervisor"),
            _text(group["state"], "" if good else "red"),
            str(group["restarts"]),
            f"{group['memory_bytes'] / 2**20:.0f} MiB" if group["memory_bytes"] else "",
            str(group["pid"] or ""),
            f"{group['heard_s']:.1f} s ago",
        )
    return made


def _nodes(before: dict[str, Any], now: dict[str, Any], seconds: float) -> Table:
    made = _columns("node", "group", "a second>", "step ms>", "delay ms>", "clock ppm>", "")
    for name, node in now["nodes"].items():
        told = node["messages"] - before["nodes"].get(name, node)["messages"]
        clock = node.get("clock")
        made.add_row(
            _text(name),
            _text(node.get("group", "")),
            f"{told / seconds:.1f}" if seconds > 0 and told >= 0 else "",
            _p50_p99(node, "step_"),
            _p50_p99(node, "delay_"),
            f"{clock['rate_ppm']:+.1f} ± {clock['rate_uncertainty_ppm']:.1f}" if clock else "",
            _remarks(node),
        )
    return made


def _remarks(node: dict[str, Any]) -> Text:
    """What is wrong with a node, and what it computes with."""
    wrong = [node["state"]] if node.get("state", "ok") != "ok" else []
    wrong += [f"no {port}: {reason}" for port, reason in node.get("gaps", {}).items()]
    wrong += node.get("warnings", [])
    runs = [f"{model}: {by}" for model, by in node.get("engines", {}).items()]
    return Text("; ").join([*(_text(text, "yellow") for text in wrong), *(_text(text) for text in runs)])


def _edges(before: dict[str, Any], now: dict[str, Any]) -> Table:
    made = _columns("edge", "waiting>", "kB>", "dropped>", "new>")
    for name, dropped in now["drops"].items():
        queue = now["queues"].get(name, {"messages": 0, "bytes": 0})
        new = max(0, dropped - before["drops"].get(name, dropped))
        made.add_row(
            _text(name),
            str(queue["messages"]),
            f"{queue['bytes'] / 1e3:.1f}",
            str(dropped),
            Text(f"+{new}" if new else "", style="yellow"),
        )
    return made


def _topics(now: dict[str, Any]) -> Table:
    made = _columns("topic", "delay ms>")
    for topic, delay in now["delays"].items():
        made.add_row(_text(topic), _p50_p99(delay, ""))
    return made


def _hosts(now: dict[str, Any]) -> Table:
    made = _columns("host", "offset ms>", "there and back ms>", "heard>")
    for name, clock in now["clocks"].items():
        offset = f"{clock['offset_ms']:.1f} ± {clock['uncertainty_ms']:.1f}"
        made.add_row(_text(name), offset, f"{clock['delay_ms']:.1f}", f"{clock['heard_s']:.1f} s ago")
    return made


def _text(said: str, style: str = "") -> Text:
    """Of whoever publishes: nothing in it that a terminal, or rich, obeys."""
    return Text(printable(said), style=style)


def _p50_p99(of: dict[str, Any], what: str) -> str:
    if f"{what}p50_ms" not in of:
        return ""
    return f"{of[f'{what}p50_ms']:.1f} / {of[f'{what}p99_ms']:.1f}"


def _columns(*names: str) -> Table:
    """A table without lines; numbers stand right where the name ends with ``>``."""
    made = Table(box=None, pad_edge=False, header_style="dim")
    for name in names:
        right = name.endswith(">")
        made.add_column(name.removesuffix(">"), justify="right" if right else "left", no_wrap=bool(name))
    return made
