"""How long from the end of a chunk's capture to its message at a subscriber, and what does the pipeline cost?

    python -m benchmarks.latency [CLIP] [--seconds N]

Plays the clip in real time, over and over, through the whole pipeline as ``python launch.py`` runs it.
"""

import argparse
import json
import os
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from benchmarks.measured.launched import TALKER, free_address, launched, subscribed, wait_for
from benchmarks.measured.processes import cpu_by_name

WARM_UP_S = 5.0
TARGET_MS, TARGET_CORES = 60.0, 1.0
TOPICS = ("voice", "transcript.partial", "transcript.final", "face")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", nargs="?", type=Path, default=TALKER)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    address = free_address()
    published, arrived, stages = defaultdict(list), defaultdict(list), defaultdict(list)
    with (
        launched(address, "--source", str(options.clip), "--loop") as process,
        subscribed(address) as subscriber,
    ):
        wait_for(subscriber, process, b"voice")
        begin_s = time.monotonic() + WARM_UP_S
        costs, begun_s, drops = None, 0.0, 0
        while (now_s := time.monotonic()) < begin_s + options.seconds:
            if costs is None and now_s >= begin_s:
                costs, begun_s = cpu_by_name(process.pid), now_s
            if not subscriber.poll(100):
                if process.poll() is not None:
                    raise SystemExit(f"launch.py ended with {process.returncode}")
                continue
            topic, body = subscriber.recv_multipart()
            now_ns, message = time.monotonic_ns(), json.loads(body)
            if now_s < begin_s or message.get("repeat"):
                continue
            if topic.decode() in TOPICS:
                # A picture is taken in a moment; it only stands for the time until the next.
                captured_ns = message["t_start_ns" if topic == b"face" else "t_end_ns"]
                published[topic.decode()].append((message["t_emit_ns"] - captured_ns) / 1e6)
                arrived[topic.decode()].append((now_ns - captured_ns) / 1e6)
            elif topic == b"status":
                for id, node in message["nodes"].items():
                    for what in ("delay", "step"):
                        if f"{what}_p50_ms" in node:
                            stages[id, what].append([node[f"{what}_p{part}_ms"] for part in (50, 90, 99)])
                drops = sum(message["drops"].values())
        spent_s = time.monotonic() - begun_s
        cores = {
            name: (used - (costs or {}).get(name, 0.0)) / spent_s
            for name, used in cpu_by_name(process.pid).items()
        }
    if not arrived["voice"]:
        raise SystemExit(f"no chunk was published in {options.seconds:g} s; give more --seconds")
    print(f"{options.clip.name}, real time, {options.seconds:.0f} s, {os.cpu_count()} cores; {drops} dropped")
    print(f"{'milliseconds':52}{'p50':>8}{'p90':>8}{'p99':>8}")
    for (id, what), rows in sorted(stages.items(), key=lambda item: item[0][1]):
        label = f"{id}: capture to hand-over" if what == "delay" else f"{id}: one step"
        print(_row(label, np.median(rows, axis=0)))
    for topic in TOPICS:
        if arrived[topic]:
            print(_row(f"{topic}: end of capture to publication", _parts(published[topic])))
            print(_row(f"{topic}: end of capture to subscriber", _parts(arrived[topic])))
    total = sum(cores.values())
    print(
        "cores: " + ", ".join(f"{name} {used:.2f}" for name, used in sorted(cores.items()) if used >= 0.005)
    )
    p50 = float(np.percentile(arrived["voice"], 50))
    met = p50 <= TARGET_MS and total <= TARGET_CORES
    print(
        f"chunk to subscriber p50 {p50:.1f} ms (target {TARGET_MS:.0f}), {total:.2f} cores"
        f" (target {TARGET_CORES}): {'met' if met else 'MISSED'}"
    )
    return 0 if met else 1


def _parts(values: list[float]) -> np.ndarray:
    return np.percentile(values, [50, 90, 99])


def _row(label: str, parts: np.ndarray) -> str:
    return f"{label:52}" + "".join(f"{value:8.1f}" for value in parts)


if __name__ == "__main__":
    raise SystemExit(main())
