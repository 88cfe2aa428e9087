"""``launch.py doctor``: what this machine has of what hearsee needs, and a remedy for what is missing."""

import subprocess
import sys
import time

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nodes.runtime.probes import PROBES, ROOT, Finding

DEADLINE_S = 30.0
LAST_WORDS = 200  # characters


def doctor() -> int:
    """Prints a table; returns 0 where the pipeline can run on this machine, else 1."""
    console = Console(highlight=False)
    with console.status("looking ..."):
        findings = examine()
    console.print(table(findings))
    if bad := [finding.thing for finding in findings if finding.remedy and finding.needed]:
        console.print(f"\nhearsee cannot run yet: {', '.join(bad)}", style="red")
        return 1
    console.print("\nhearsee can run: `make demo` shows it")
    return 0


def table(findings: list[Finding]) -> Table:
    """A line for each, and below it the remedy where something is wrong."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        mark, style = (
            ("ok", "green") if not finding.remedy else ("NO", "red") if finding.needed else ("--", "yellow")
        )
        found = Text(finding.found)
        if finding.remedy:
            found.append(f"\n-> {finding.remedy}", style=style)
        table.add_row(Text(mark, style=style), Text(finding.thing), found)
    return table


def examine(probes: list[str] | None = None) -> list[Finding]:
    """What the probes found, in their order; that one failed or took too long is a finding as well."""
    names = list(PROBES) if probes is None else probes
    started = {name: _start(name) for name in names}
    end = time.monotonic() + DEADLINE_S
    return [finding for name, process in started.items() for finding in _finish(name, process, end)]


def _start(name: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "nodes.runtime.probes", name]
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def _finish(name: str, process: subprocess.Popen[bytes], end: float) -> list[Finding]:
    needed = name != "microphones"
    try:
        out, err = process.communicate(timeout=max(end - time.monotonic(), 0.1))
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        remedy = "restart its driver or sound server (`pulseaudio -k`), or unplug it and plug it in"
        return [Finding(name, f"no answer within {DEADLINE_S:.0f} s", remedy, needed)]
    if process.returncode != 0:
        last = err.decode(errors="replace").strip().splitlines()[-1:] or [f"signal {-process.returncode}"]
        remedy = "see `packages` above, or reinstall: make clean demo"
        return [Finding(name, f"cannot be looked at: {last[0][:LAST_WORDS]}", remedy, needed)]
    return msgspec.json.decode(out, type=list[Finding])
