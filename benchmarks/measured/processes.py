"""What a process and all it started cost: processor time and memory."""

from pathlib import Path

import psutil


def family(pid: int) -> list[psutil.Process]:
    """The process and all that descend from it."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def name(process: psutil.Process) -> str:
    """What it is called here: Ray names its processes, the one that was launched is "launch"."""
    title = process.name()
    if title.startswith("python"):
        words = " ".join(process.cmdline())
        return next((part for part in ("launch", "dashboard", "monitor") if part in words), title)
    return title


def cpu_by_name(pid: int) -> dict[str, float]:
    """Processor seconds so far of all that are alive now, by name."""
    used: dict[str, float] = {}
    for process in family(pid):
        try:
            times = process.cpu_times()
            used[name(process)] = used.get(name(process), 0.0) + times.user + times.system
        except psutil.Error:
            continue
    return used


def cpu_seconds(pid: int) -> float:
    """Processor seconds so far of all that are alive now."""
    return sum(cpu_by_name(pid).values())


def memory_bytes(pid: int) -> dict[str, int]:
    """Proportional set size by name: what is shared is counted once, in parts."""
    held: dict[str, int] = {}
    for process in family(pid):
        try:
            held[name(process)] = held.get(name(process), 0) + process.memory_full_info().pss
        except psutil.Error:
            continue
    return held


def own_bytes(pid: int) -> int:
    """The part of ``memory_bytes`` that is not of mapped files, which count for less where programs outside
    the family map them too: what they come to changes with what else runs."""
    held = 0
    for process in family(pid):
        try:
            told = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        except OSError:
            continue
        lines = dict(line.split(":", 1) for line in told.splitlines() if line.endswith(" kB"))
        held += sum(int(lines[key].split()[0]) for key in ("Pss_Anon", "Pss_Shmem", "SwapPss")) * 1024
    return held
