"""What does each fault cost: how long until it is noticed, and mended, and what of sound and lips is lost?

    python -m benchmarks.faults [--only WORDS] [--to FILE]

Causes every fault for real, one after the other, on the whole pipeline with a network camera and a PulseAudio
microphone, and writes docs/faults.md.  Exit status 1 where one takes longer, or costs more, than it may.
"""

import time
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import psutil
import typer

from benchmarks.measured.clients import Deaf, Slow, vanish
from benchmarks.measured.fault import FAULTS, Fault
from benchmarks.measured.page import SUBSCRIBERS, Cost, page
from benchmarks.measured.stage import Stage, is_av
from benchmarks.measured.told import LIPS, SOUND, lost_s
from engines.command import command

PAGE = Path(__file__).parents[1] / "docs" / "faults.md"
NOTICED_S, BACK_S = 20.0, 40.0
SETTLED_S = 2.0
MARGIN_S = 0.5
CONNECTIONS = 1000
WATCHED_S = 10.0


def measure(stage: Stage, fault: Fault) -> Cost:
    """Causes the fault, waits for what tells of it, mends it, and waits until all is as before."""
    heard = stage.listener
    heard.wait(time.monotonic(), BACK_S, is_av)
    time.sleep(SETTLED_S)
    caused_s = time.monotonic()
    fault.cause(stage)
    told = heard.wait(caused_s, NOTICED_S, fault.told) if fault.told else None
    time.sleep(fault.lasts_s)
    mended_s = time.monotonic() if fault.mend else caused_s
    if fault.mend:
        fault.mend(stage)
    from_s = max(mended_s, told.arrived_s if told else caused_s)
    back = heard.wait(
        from_s, BACK_S, lambda topic, body: body["t_end_ns"] > mended_s * 1e9 and fault.back(topic, body)
    )
    time.sleep(SETTLED_S)
    end_s = (back.arrived_s if back else time.monotonic()) + MARGIN_S
    spoken = heard.since(caused_s - MARGIN_S)
    begin_s = caused_s - MARGIN_S / 2
    return Cost(
        fault.name,
        noticed_s=told.arrived_s - caused_s if told else None,
        back_s=back.arrived_s - mended_s if back else None,
        sound_s=lost_s(spoken, begin_s, end_s, SOUND),
        lips_s=lost_s(spoken, begin_s, end_s, LIPS),
    )


@dataclass
class _Publisher:
    """What the publishing process holds, and the longest pause of what it published."""

    stage: Stage

    def __post_init__(self) -> None:
        self.process = psutil.Process(self.stage.pid("publish"))
        self.begun_s = time.monotonic()
        self.before = self._holds()

    def _holds(self) -> tuple[float, int]:
        return self.process.memory_info().rss / 2**20, self.process.num_fds()

    def cost(self, name: str) -> Cost:
        arrived = [
            told.arrived_s for told in self.stage.listener.since(self.begun_s) if told.topic == "voice"
        ]
        pauses = [later - earlier for earlier, later in pairwise(arrived)]
        (mb, fds), (mb_now, fds_now) = self.before, self._holds()
        note = (
            f"{mb_now - mb:+.1f} MB, {fds_now - fds:+d} descriptors; longest pause {max(pauses) * 1e3:.0f} ms"
        )
        return Cost(name, note=note)


def subscribers(stage: Stage) -> list[Cost]:
    never, slow, thousand = (each.name for each in SUBSCRIBERS)
    costs = []
    watched = _Publisher(stage)
    deaf = Deaf(stage.address)
    time.sleep(WATCHED_S)
    deaf.close()
    costs.append(watched.cost(never))
    watched = _Publisher(stage)
    client = Slow(stage.address)
    time.sleep(WATCHED_S)
    client.close()
    costs.append(watched.cost(slow))
    watched = _Publisher(stage)
    vanish(stage.address, CONNECTIONS)
    time.sleep(SETTLED_S)
    costs.append(watched.cost(thousand))
    return costs


def main(
    only: Annotated[str, typer.Option(help="Faults whose name has these words; writes no page.")] = "",
    to: Annotated[Path, typer.Option(help="The page.")] = PAGE,
) -> None:
    """Exit status 1 where a fault takes longer, or costs more, than it may."""
    faults = [fault for fault in FAULTS if only in fault.name]
    costs = []
    with Stage() as stage:
        for fault in faults:
            costs.append(measure(stage, fault))
            print(costs[-1].line(), flush=True)
            if stage.process.poll() is not None:
                raise SystemExit(f"launch.py ended with {stage.process.returncode}")
        if not only:
            for cost in subscribers(stage):
                costs.append(cost)
                print(cost.line(), flush=True)
    missed = [line for fault, cost in zip(faults, costs, strict=False) for line in cost.missed(fault)]
    print("\n".join(missed) or "all within what is allowed")
    if not only:
        to.write_text(page(costs, missed, date.today()), encoding="utf-8")
        print(f"written: {to}")
    if missed:
        raise typer.Exit(1)


if __name__ == "__main__":
    command(main)
