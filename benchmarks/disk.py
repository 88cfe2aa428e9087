"""What does a full disk cost while everything is recorded?  Needs root, to mount a small one.

    python -m benchmarks.disk

Plays the talker through the whole pipeline, recording to a file system of 64 MB; fills it, and makes room
again.  Exit status 1 where it is not told, does not go on by itself, or anything else is held up.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.measured.launched import START_S, TALKER, free_address, launched, subscribed
from nodes.sources.archive import read

DISK_MB = 64
FULL_S = 5.0
RECORDER = """
  record:
    node: outputs/record
    group: record
    inputs: [camera/picture, microphone/audio, transcribe/transcript, transcribe/voice]
    with: {{folder: "{disk}", free_mb: 0}}
"""


@contextmanager
def small_disk() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "none", name]
        if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
            raise SystemExit("needs the right to mount a file system: run it as root")
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", "-l", name], check=True)


class Heard:
    """What is published, until something is so."""

    def __init__(self, subscriber: Any) -> None:
        self._subscriber = subscriber
        self.voices_s: list[float] = []

    def until(self, true: Callable[[dict[str, Any]], bool], wait_s: float = 30.0) -> float:
        """Seconds until a status that is ``true``."""
        begun_s, says = time.monotonic(), "nothing"
        while time.monotonic() - begun_s < wait_s:
            if self._subscriber.poll(100):
                topic, body = self._subscriber.recv_multipart()
                if topic == b"voice":
                    self.voices_s.append(time.monotonic())
                elif topic == b"status":
                    status = json.loads(body)
                    says = status["says"]
                    if true(status):
                        return time.monotonic() - begun_s
        raise SystemExit(f"waited {wait_s:.0f} s; the last status: {says}")

    @property
    def longest_pause_s(self) -> float:
        return max(b - a for a, b in zip(self.voices_s, self.voices_s[1:], strict=False))


def stopped(status: dict[str, Any]) -> bool:
    return "recording stopped" in status["says"]


def goes_on(status: dict[str, Any]) -> bool:
    recording = status["nodes"].get("record", {}).get("recording", {})
    return not stopped(status) and recording.get("bytes", 0) > 0


def main() -> int:
    address = free_address()
    pipeline = (Path(__file__).parents[1] / "pipeline.yaml").read_text()
    with small_disk() as disk, tempfile.TemporaryDirectory() as folder:
        wiring = Path(folder) / "pipeline.yaml"
        wiring.write_text(pipeline + RECORDER.format(disk=disk))
        options = ("--source", str(TALKER), "--loop", "--pipeline", str(wiring))
        with subscribed(address) as subscriber, launched(address, *options):
            heard = Heard(subscriber)
            heard.until(goes_on, START_S)
            heard.voices_s.clear()
            with (disk / "filler").open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free)
            told_s = heard.until(stopped)
            end_s = time.monotonic() + FULL_S
            heard.until(lambda _: time.monotonic() > end_s)
            (disk / "filler").unlink()
            back_s = heard.until(goes_on)
            pause_s = heard.longest_pause_s
        damage: Counter[str] = Counter()
        counts = [sum(1 for _ in read(str(path), damage)) for path in sorted(disk.glob("*.mcap"))]
    print(f"the disk full: told after {told_s:.1f} s")
    print(f"room again: recording after {back_s:.1f} s")
    print(f"longest pause of what was published meanwhile: {pause_s * 1e3:.0f} ms")
    print(f"recordings that can be read: {len(counts)}, with {counts} messages of the sources")
    return 0 if len(counts) == 2 and pause_s < 1.0 else 1


if __name__ == "__main__":
    raise SystemExit(main())
