"""Does it run on, with something failing all the time?  Crashes, memory, descriptors, threads and delay.

    python -m benchmarks.soak [--minutes N] [--every S] [--seed N] [--to FILE]

The whole pipeline on a looping clip, by a network camera and a PulseAudio microphone; a random fault every
20 s, from a seed.  Measured shortly before the next fault, when all should be as before.  It writes
docs/soak.md.
"""

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated

import numpy as np
import psutil
import typer

from benchmarks.measured.clients import Deaf, vanish
from benchmarks.measured.fault import FAULTS
from benchmarks.measured.processes import family, memory_bytes, own_bytes
from benchmarks.measured.stage import Stage, all_run, is_av
from engines.command import command

PAGE = Path(__file__).parents[1] / "docs" / "soak.md"
WARM_UP_S = 60.0
FAULT_S = 4.0
SUSPENDED_S = 1.0  # after two it would be started again
MEASURED_S = 5.0
PARTS = 6  # the first and the last of so many are compared
FLAT, STEADY = 0.05, 0.20
NAMES = (
    "camera unplugged",
    "camera stalls",
    "camera frozen, the same picture for ever",
    "camera black",
    "microphone unplugged, its sound server killed",
    "a node raises",
    "group `capture` is killed",
    "group `perceive` is killed",
    "group `publish` is killed",
)


@dataclass(frozen=True)
class Sample:
    """Shortly before the next fault.  delays_ms: of chunks, from the end of capture to us."""

    at_s: float
    fault: str
    well: bool
    memory_mb: float
    own_mb: float
    descriptors: int
    threads: int
    delays_ms: list[float]


@dataclass
class Soak:
    """crashed: the exit status of the whole, should it have ended."""

    samples: list[Sample] = field(default_factory=list)
    crashed: int | None = None

    def part(self, last: bool) -> list[Sample]:
        size = max(1, len(self.samples) // PARTS)
        return self.samples[-size:] if last else self.samples[:size]


def _suspended(stage: Stage) -> None:
    pid = stage.pid("perceive")
    psutil.Process(pid).send_signal(signal.SIGSTOP)
    time.sleep(SUSPENDED_S)
    psutil.Process(pid).send_signal(signal.SIGCONT)


def _deaf(stage: Stage) -> None:
    client = Deaf(stage.address)
    time.sleep(FAULT_S)
    client.close()


Act = Callable[[Stage], object]


def _acts() -> dict[str, tuple[Act, Act]]:
    """By name: what causes each fault, and what mends it."""
    acts = {fault.name: (fault.cause, fault.mend or _nothing) for fault in FAULTS if fault.name in NAMES}
    acts["group `perceive` suspended for 1 s"] = (_suspended, _nothing)
    acts["a subscriber that never reads"] = (_deaf, _nothing)
    acts["50 subscribers that vanish"] = (lambda stage: vanish(stage.address, 50), _nothing)
    return acts


def _nothing(stage: Stage) -> None:
    return None


def soak(stage: Stage, seconds: float, every_s: float, seed: int, show: Callable[[str], None]) -> Soak:
    """Faults in the order of ``seed``, every one of them once before any comes again."""
    chance, acts, result = random.Random(seed), _acts(), Soak()
    order: list[str] = []
    begun_s = time.monotonic()
    due_s = begun_s
    while due_s + every_s <= begun_s + seconds:
        due_s += every_s
        order = order or chance.sample(sorted(acts), len(acts))
        name = order.pop()
        cause, mend = acts[name]
        cause(stage)
        time.sleep(FAULT_S)
        mend(stage)
        time.sleep(max(0.0, due_s - MEASURED_S - time.monotonic()))
        sample = _sample(stage, name, begun_s)
        if sample is None:
            result.crashed = stage.process.poll()
            break
        result.samples.append(sample)
        held = f"{sample.memory_mb:7.0f} MB ({sample.own_mb:.0f} own) {sample.descriptors:5} descriptors"
        state = "well" if sample.well else "NOT WELL"
        show(f"{sample.at_s / 60:5.1f} min  {held} {sample.threads:4} threads  {state} after: {name}")
        time.sleep(max(0.0, due_s - time.monotonic()))
    return result


def _sample(stage: Stage, fault: str, begun_s: float) -> Sample | None:
    """None where the whole has ended."""
    from_s = time.monotonic()
    running = stage.listener.wait(from_s, MEASURED_S, all_run)
    reading = stage.listener.wait(from_s, MEASURED_S, is_av)
    time.sleep(max(0.0, from_s + MEASURED_S / 2 - time.monotonic()))
    if stage.process.poll() is not None:
        return None
    delays = [
        told.arrived_s * 1e3 - told.body["t_end_ns"] / 1e6
        for told in stage.listener.since(from_s)
        if told.topic == "voice"
    ]
    descriptors = threads = 0
    for process in family(stage.process.pid):
        try:
            descriptors, threads = descriptors + process.num_fds(), threads + process.num_threads()
        except psutil.Error:
            continue
    well = running is not None and reading is not None
    memory_mb = sum(memory_bytes(stage.process.pid).values()) / 2**20
    own_mb = own_bytes(stage.process.pid) / 2**20
    return Sample(from_s - begun_s, fault, well, memory_mb, own_mb, descriptors, threads, delays)


def verdicts(result: Soak) -> list[tuple[str, str, str, str, bool]]:
    """What is measured, in the first part, in the last, what that comes to, and whether it may."""
    first, last = result.part(last=False), result.part(last=True)
    rows = []
    for what, unit, allowed in (
        ("memory_mb", "MB of all processes", FLAT),
        ("own_mb", "of these, not of files", FLAT),
        ("descriptors", "file descriptors", FLAT),
        ("threads", "threads", FLAT),
    ):
        before, after = (float(np.mean([getattr(each, what) for each in part])) for part in (first, last))
        growth = after / before - 1
        rows.append((unit, f"{before:.0f}", f"{after:.0f}", f"{growth:+.1%}", growth <= allowed))
    p99 = [
        np.percentile([ms for each in part for ms in each.delays_ms] or [np.inf], 99)
        for part in (first, last)
    ]
    change = p99[1] / p99[0] - 1
    rows.append(("delay p99, ms", f"{p99[0]:.0f}", f"{p99[1]:.0f}", f"{change:+.1%}", change <= STEADY))
    return rows


def page(result: Soak, seconds: float, every_s: float, seed: int) -> str:
    rows = "\n".join(
        f"| {what} | {before} | {after} | {change}{'' if well else ' **too much**'} |"
        for what, before, after, change, well in verdicts(result)
    )
    unwell = [sample.fault for sample in result.samples if not sample.well]
    ended = "It did not crash." if result.crashed is None else f"**It ended with {result.crashed}.**"
    cores, count = psutil.cpu_count(), len(result.samples)
    lasted, well = f"{seconds / 60:.0f} minutes", count - len(unwell)
    not_after = f"; not after: {', '.join(unwell)}" if unwell else ""
    return f"""\
# Left alone, with something failing all the time

Written by `python -m benchmarks.soak --minutes {seconds / 60:.0f} --every {every_s:g} --seed {seed}`; not by
hand.

{lasted} on {date.today():%d %B %Y}, {cores} cores that had other work to do as well: the talker
looping, by a network camera and a PulseAudio microphone; {count} faults, one every {every_s:g} s,
each lasting some {FAULT_S:g} s: {", ".join(_acts())}.

{ended} All was as before, a few seconds ahead of the next fault, after {well} of {count}{not_after}.

The first and the last sixth, measured ahead of each next fault; a minute of warm-up is not counted. Memory
is the proportional set size of all processes, Ray's too; of the files among it (programs, libraries, models)
the less counts the more other programs have mapped them. The delay is from the end of a chunk's capture to a
subscriber.

| | first sixth | last sixth | change |
|---|---|---|---|
{rows}
"""


def main(
    minutes: Annotated[float, typer.Option(help="How long, after the first minute.")] = 60.0,
    every: Annotated[float, typer.Option(help="Seconds from fault to fault.")] = 20.0,
    seed: Annotated[int, typer.Option(help="Of the order of the faults.")] = 1,
    to: Annotated[Path, typer.Option(help="The page.")] = PAGE,
) -> None:
    """Exit status 1 where it crashed, did not recover, grew, or became slower."""
    with Stage() as stage:
        time.sleep(WARM_UP_S)
        result = soak(stage, minutes * 60, every, seed, lambda line: print(line, flush=True))
    to.write_text(page(result, minutes * 60, every, seed), encoding="utf-8")
    for what, before, after, change, _ in verdicts(result):
        print(f"{what:24}{before:>10}{after:>10}{change:>9}")
    unwell = sum(not sample.well for sample in result.samples)
    print(
        f"{len(result.samples)} faults, {unwell} not recovered from, crashed: {result.crashed}; written: {to}"
    )
    if result.crashed is not None or unwell or not all(well for *_, well in verdicts(result)):
        raise typer.Exit(1)


if __name__ == "__main__":
    command(main)
