"""Does memory grow while it runs, even with a subscriber that never reads?

    python -m benchmarks.memory [CLIP] [--minutes N]

Plays the clip over and over in real time; memory is the proportional set size of all processes together.
"""

import argparse
import time
from pathlib import Path

from benchmarks.measured.launched import TALKER, free_address, launched, subscribed, wait_for
from benchmarks.measured.processes import memory_bytes

EVERY_S = 5.0
WARM_UP_S = 60.0
ALLOWED = 0.05
MB = 2**20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", nargs="?", type=Path, default=TALKER)
    parser.add_argument("--minutes", type=float, default=10.0, help="after the first, which is the warm-up")
    options = parser.parse_args()
    address = free_address()
    samples: list[dict[str, int]] = []
    with (
        launched(address, "--source", str(options.clip), "--loop") as process,
        subscribed(address, "status") as subscriber,
        subscribed(address) as deaf,
    ):
        wait_for(subscriber, process, b"status")
        time.sleep(WARM_UP_S)
        end_s = time.monotonic() + options.minutes * 60
        print(f"{options.clip.name} looping, one subscriber that never reads; MB of all processes")
        while time.monotonic() < end_s and process.poll() is None:
            samples.append(memory_bytes(process.pid))
            if len(samples) % 12 == 1:
                print(
                    f"{len(samples) * EVERY_S / 60:5.1f} min {sum(samples[-1].values()) / MB:8.1f}",
                    flush=True,
                )
            time.sleep(EVERY_S)
        if process.poll() is not None:
            raise SystemExit(f"launch.py ended with {process.returncode}")
        assert deaf.poll(0), "the subscriber that never reads has nothing to read"
    part = max(1, len(samples) // 10)
    first, last = (_mean(samples[:part]), _mean(samples[-part:]))
    print(f"{'':28}{'first tenth':>12}{'last tenth':>12}{'growth':>9}")
    for name in sorted(last, key=last.get, reverse=True):  # type: ignore[arg-type]
        before = first.get(name, 0.0)
        print(f"{name:28}{before / MB:12.1f}{last[name] / MB:12.1f}{_growth(before, last[name]):>9}")
    before, after = sum(first.values()), sum(last.values())
    print(f"{'all':28}{before / MB:12.1f}{after / MB:12.1f}{_growth(before, after):>9}")
    flat = after <= before * (1 + ALLOWED)
    print(f"{'flat' if flat else 'NOT flat'} within {ALLOWED:.0%}")
    return 0 if flat else 1


def _mean(samples: list[dict[str, int]]) -> dict[str, float]:
    names = {name for sample in samples for name in sample}
    return {name: sum(sample.get(name, 0) for sample in samples) / len(samples) for name in names}


def _growth(before: float, after: float) -> str:
    return f"{(after - before) / before:+.1%}" if before else "new"


if __name__ == "__main__":
    raise SystemExit(main())
