"""How long is a message on its way between Ray actors, and what does that cost?

    python -m benchmarks.edges [--seconds N]

Three hops, 25 messages a second, over our edge, over pushed actor calls and over a Ray compiled graph, one
after the other on the same machine.
"""

import argparse
import json
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measured.processes import cpu_seconds
from nodes.runtime.check import check
from nodes.runtime.cluster import private_ray, ray, run_folder
from nodes.runtime.graph import parse
from nodes.runtime.messages import Picture
from nodes.runtime.plan import plan
from nodes.runtime.supervisor import Supervisor

PERIOD_S = 0.04
HOPS = 3
WARM_UP = 25
SIZES = {"8 kB": 8_000, "900 kB": 900_000}
PIPELINE = """\
nodes:
  pulse: {{node: "benchmarks.edges:Pulse", group: one, with: {{bytes: {bytes}}}}}
  first: {{node: "benchmarks.edges:Relay", group: two, inputs: [pulse/picture]}}
  second: {{node: "benchmarks.edges:Relay", group: three, inputs: [first/picture]}}
  last: {{node: "benchmarks.edges:Last", group: four, inputs: [second/picture], with: {{path: "{path}"}}}}
"""


class Pulse:
    """A source: 25 pictures a second, each stamped when it leaves."""

    inputs = ()
    outputs = ("picture",)

    def __init__(self, *, bytes: int) -> None:
        self.image = np.zeros((bytes // 300, 100, 3), np.uint8)

    def open(self, context: Any) -> None:
        self.context, self.seq, self.ended = context, 0, threading.Event()
        self.thread = threading.Thread(target=self._beat, daemon=True)
        self.thread.start()

    def _beat(self) -> None:
        while not self.ended.wait(PERIOD_S):
            self.context.wake()
            self.seq += 1

    def step(self, messages: Any) -> list[Picture]:
        if self.seq == getattr(self, "sent", 0):
            return []
        self.sent = self.seq
        now_ns = time.monotonic_ns()
        head = {"stream": "pulse", "seq": self.seq, "epoch": 0, "t_start_ns": now_ns, "t_end_ns": now_ns}
        return [Picture(**head, image=self.image)]

    def close(self) -> None:
        self.ended.set()
        self.thread.join()


class Relay:
    inputs = ("picture",)
    outputs = ("picture",)

    def open(self, context: Any) -> None: ...
    def step(self, messages: Any) -> list[Picture]:
        return list(messages)

    def close(self) -> None: ...


class Last:
    """The end: writes how old each message was, in nanoseconds."""

    inputs = ("picture",)
    outputs = ()

    def __init__(self, *, path: str) -> None:
        self.path = path

    def open(self, context: Any) -> None:
        self.ages: list[int] = []

    def step(self, messages: Any) -> list[Picture]:
        self.ages += [time.monotonic_ns() - message.t_end_ns for message in messages]
        return []

    def close(self) -> None:
        Path(self.path).write_text(json.dumps(self.ages))


class Caller:
    """Pushed calls: each actor calls the next one; the last keeps the ages."""

    def __init__(self, following: Any) -> None:
        self.following, self.ages = following, []

    def take(self, sent_ns: int, image: np.ndarray) -> None:
        if self.following is None:
            self.ages.append(time.monotonic_ns() - sent_ns)
        else:
            self.following.take.remote(sent_ns, image)

    def pulse(self, size: int, seconds: float) -> None:
        image = np.zeros(size, np.uint8)
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            self.following.take.remote(time.monotonic_ns(), image)
            time.sleep(PERIOD_S)

    def result(self) -> list[int]:
        return self.ages


class Stage:
    """One stage of a compiled graph; the last hop is back to the driver."""

    def relay(self, value: np.ndarray) -> np.ndarray:
        return value.copy()  # the original lies in a channel that would wait for itself


def over_edges(size: int, seconds: float, folder: Path) -> tuple[list[int], float]:
    with tempfile.TemporaryDirectory(prefix="e", dir=folder) as here:
        result = Path(here) / "ages.json"
        file = Path(here) / "pipeline.yaml"
        file.write_text(PIPELINE.format(bytes=size, path=result))
        stop, cost = threading.Event(), []

        def measure() -> None:
            time.sleep(1)
            begun = cpu_seconds(os.getpid())
            time.sleep(seconds)
            cost.append((cpu_seconds(os.getpid()) - begun) / seconds)
            stop.set()

        meter = threading.Thread(target=measure)
        Supervisor(plan(check(parse(file)), here, True)).run(stop, meter.start)
        meter.join()
        ages: list[int] = json.loads(result.read_text())
        return ages, cost[0]


def over_calls(size: int, seconds: float, folder: Path) -> tuple[list[int], float]:
    kind = ray.remote(Caller).options(num_cpus=0)
    last = following = kind.remote(None)
    for _ in range(HOPS):
        following = kind.remote(following)
    ray.get(last.result.remote())
    busy = following.pulse.remote(size, seconds + 1)
    time.sleep(1)
    begun = cpu_seconds(os.getpid())
    time.sleep(seconds)
    cost = (cpu_seconds(os.getpid()) - begun) / seconds
    ray.get(busy)
    return ray.get(last.result.remote()), cost


def over_compiled(size: int, seconds: float, folder: Path) -> tuple[list[int], float]:
    from ray.dag import InputNode

    kind = ray.remote(Stage).options(num_cpus=0)
    stages = [kind.remote() for _ in range(HOPS - 1)]
    with InputNode() as value:
        node = value
        for stage in stages:
            node = stage.relay.bind(node)
    graph = node.experimental_compile()
    image, ages = np.zeros(size, np.uint8), []
    ray.get(graph.execute(image))
    begun, begun_s = 0.0, time.monotonic()
    while time.monotonic() - begun_s < seconds + 1:
        if not begun and time.monotonic() - begun_s >= 1:
            begun = cpu_seconds(os.getpid())
        sent_ns = time.monotonic_ns()
        ray.get(graph.execute(image))
        ages.append(time.monotonic_ns() - sent_ns)
        time.sleep(PERIOD_S)
    cost = (cpu_seconds(os.getpid()) - begun) / seconds
    graph.teardown()
    return ages, cost


def idle(seconds: float) -> float:
    begun = cpu_seconds(os.getpid())
    time.sleep(seconds)
    return (cpu_seconds(os.getpid()) - begun) / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement")
    seconds = parser.parse_args().seconds
    ways = {
        "ZeroMQ edge (ours)": over_edges,
        "Ray actor call, pushed": over_calls,
        "Ray compiled graph": over_compiled,
    }
    with run_folder() as folder, private_ray(folder, HOPS + 1):
        print(f"Three hops at 25 Hz, {seconds:.0f} s each; Ray alone takes {idle(5):.1%} of a core.")
        print(f"{'':24}" + "".join(f"{size + ' p50 / p99':>22}{'cpu':>8}" for size in SIZES))
        for way, measure in ways.items():
            cells = []
            for size in SIZES.values():
                ages, cost = measure(size, seconds, folder)
                p50, p99 = np.percentile(np.array(ages[WARM_UP:]) / 1e6, [50, 99])
                cells.append(f"{p50:10.2f} / {p99:6.2f} ms{cost:8.1%}")
            print(f"{way:24}" + "".join(cells), flush=True)


if __name__ == "__main__":
    main()
