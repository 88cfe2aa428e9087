"""How many words are wrong when clips go through the whole pipeline, as a user plays them?

    python -m benchmarks.pipeline [--clips N] [--speed S]

Runs ``python launch.py --source CLIP`` for GRID clips kept for validation, Ray, ZeroMQ and all, subscribes
to it, and scores the finals; ``launch.py evaluate`` does the same in one process, in noise and by each sense.
"""

import argparse
import json
import subprocess
from pathlib import Path

import zmq

from benchmarks.measured.launched import START_S, free_address, launched, subscribed
from engines.speech.recordings import grid_clips, grid_split, read_align
from engines.speech.score import word_error_rate

CLIPS = Path(__file__).parents[2] / "shared" / "data" / "grid_s1"
TARGET = 5.0


def heard(clip: Path, speed: float) -> tuple[list[str], set[str]]:
    """The words of every final, and the modes they were read in.  SystemExit where launch.py fails."""
    address = free_address()
    with (
        subscribed(address, "transcript.final") as subscriber,
        launched(address, "--source", str(clip), "--speed", f"{speed:g}") as process,
    ):
        try:
            if process.wait(START_S):
                raise SystemExit(f"{clip}: launch.py ended with {process.returncode}")
        except subprocess.TimeoutExpired:
            raise SystemExit(f"{clip}: not played to its end in {START_S:.0f} s") from None
        finals = {}
        while subscriber.poll(200):
            final = json.loads(subscriber.recv_multipart(zmq.NOBLOCK)[1])
            finals[final["epoch"], final["segment"]] = final
    ordered = [finals[key] for key in sorted(finals)]
    return [word for final in ordered for word in final["text"].split()], {f["mode"] for f in ordered}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=20, help="how many")
    parser.add_argument("--speed", type=float, default=1.0, help="as in launch.py; 1 is real time")
    options = parser.parse_args()
    if not CLIPS.is_dir():
        raise SystemExit(f"{CLIPS}: not there; the recordings are not part of the repository")
    clips = [clip for clip in grid_clips(CLIPS) if grid_split(clip) == "validation"][: options.clips]
    said, understood, all_modes = [], [], set()
    for clip in clips:
        words = [text for text, _, _ in read_align(clip.with_suffix(".align"))]
        got, modes = heard(clip, options.speed)
        print(
            f"{clip.stem}  {' '.join(got)}" + ("" if got == words else f"  (said: {' '.join(words)})"),
            flush=True,
        )
        said.append(words)
        understood.append(got)
        all_modes |= modes
    rate = word_error_rate(said, understood)
    met = rate.percent <= TARGET
    print(f"{len(clips)} clips at speed {options.speed:g}, modes {', '.join(sorted(all_modes))}: {rate}")
    print(f"target {TARGET:g} %: {'met' if met else 'MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
