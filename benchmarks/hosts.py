"""Two hosts with a bad link between them: the same words, how far sound and picture are apart, a cut link?

    python -m benchmarks.hosts [CLIPS] [--clips N] [--delay MS] [--jitter MS] [--loss PERCENT]
                               [--cut SECONDS] [--cuts N]

The camera and the finding of faces run on one host; microphone, recogniser and publisher on the other
(``measured/namespaces.py``: network namespaces with clocks half a million seconds apart; needs root).  Clips
are played once with everything on one host and once over the link; then, over the link, without a pause,
while it is cut: once for long, then for two seconds each, since how soon that is told depends on when in a
chunk it happens.  Delay, jitter and loss are of each direction.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measured.namespaces import Namespaces, missing
from benchmarks.measured.two_hosts import LEAD_S, TRUE_OFFSET_MS, Run, running

GRID = Path(__file__).resolve().parents[2] / "shared" / "data" / "grid_s1"
CLIP_S = 5.0  # with the pause after it, and some more
BEFORE_S, AFTER_S = 8.0, 8.0
SHORT_S, BETWEEN_S = 2.0, 2.0
TELL_S = 2.0  # status comes once a second
ALIGNED_MS, AUDIO_ONLY_MS, BACK_S = 20.0, 300.0, 3.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=GRID)
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--delay", type=float, default=40.0)
    parser.add_argument("--jitter", type=float, default=10.0)
    parser.add_argument("--loss", type=float, default=2.0)
    parser.add_argument("--cut", type=float, default=10.0)
    parser.add_argument("--cuts", type=int, default=10)
    options = parser.parse_args()
    if reason := missing():
        raise SystemExit(reason)
    clips = sorted(options.folder.glob("*.mp4"))[: options.clips]
    if not clips:
        raise SystemExit(f"{options.folder}: no clips (*.mp4) there; name a folder with some")
    cuts = [(options.cut, BEFORE_S)] + [(SHORT_S, BETWEEN_S)] * (options.cuts - 1)
    cuts_s = sum(cut_s + before_s + AFTER_S for cut_s, before_s in cuts)
    joined = clips * (1 + int((cuts_s + 5) / (2.5 * len(clips))))
    with (
        tempfile.TemporaryDirectory(prefix="hs-", dir="/tmp") as folder,
        Namespaces() as hosts,
        running(hosts, Path(folder), clips, [], two=False) as run,
    ):
        run.begin()
        here = listen(run, len(clips))
    link = (options.delay, options.jitter, options.loss / 100)
    with (
        tempfile.TemporaryDirectory(prefix="hs-", dir="/tmp") as folder,
        Namespaces(*link) as hosts,
        running(hosts, Path(folder), clips, joined, two=True) as run,
    ):
        run.begin()
        before_bytes, begun_s = hosts.carried_bytes[1], time.monotonic()
        there = listen(run, len(clips))
        rate = (hosts.carried_bytes[1] - before_bytes) / (time.monotonic() - begun_s)
        told_of = [cut_link(run, hosts, cut_s, before_s) for cut_s, before_s in cuts]
    same = sum(one == other for one, other in zip(here.finals, there.finals, strict=False))
    worst_ms = max(map(abs, there.errors_ms), default=float("nan"))
    print(
        f"{len(clips)} clips, {options.delay:g} ± {options.jitter:g} ms each way, {options.loss:g} % of"
        f" packets lost; {rate / 1000:.0f} kB/s from the robot"
    )
    print(f"same words as on one host: {same} of {max(len(here.finals), len(there.finals))}")
    for one, other in zip(here.finals, there.finals, strict=False):
        if one != other:
            print(f"  here:  {one}\n  there: {other}")
    unlike = sum(a != b for a, b in zip(here.chunks, there.chunks, strict=False))
    print(
        f"chunks with sound of which something else was told: {unlike} of {len(here.chunks)} on one host and"
        f" {len(there.chunks)} over the link"
    )
    for name, heard in (("on one host", here), ("over the link", there)):
        p50, p99 = np.percentile(heard.delays_ms, [50, 99])
        print(
            f"{name}: faces that came too late for their sound: {heard.late}; chunks by mode: {heard.modes};"
            f" end of capture to publication p50 {p50:.0f} ms, p99 {p99:.0f} ms, most"
            f" {max(heard.delays_ms):.0f} ms"
        )
    print(f"clock of the robot, farthest from the truth: {worst_ms:.1f} ms (at most {ALIGNED_MS:.0f})")
    for line in told(told_of):
        print(line)
    good = same == len(clips) == len(here.finals) == len(there.finals) and worst_ms <= ALIGNED_MS
    good = good and max(cut["audio_ms"] for cut in told_of) <= AUDIO_ONLY_MS
    return 0 if good and max(cut["back_s"] for cut in told_of) <= BACK_S else 1


@dataclass
class Heard:
    """What was published of the clips.

    finals: texts.  errors_ms: how far off the robot's clock was told to be.  modes: of how many chunks.
    chunks: what was told of each that had sound.  delays_ms: of these, end of capture to publication.
    late: faces that came when their chunk had been read without them.
    """

    finals: list[str] = field(default_factory=list)
    errors_ms: list[float] = field(default_factory=list)
    chunks: list[tuple[Any, ...]] = field(default_factory=list)
    modes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("av", "audio", "video", "none"), 0))
    delays_ms: list[float] = field(default_factory=list)
    late: int = 0


def listen(run: Run, clips: int) -> Heard:
    heard = Heard()
    for topic, body in run.heard(LEAD_S + clips * CLIP_S):
        if topic == "transcript.final":
            heard.finals.append(body["text"])
        elif topic == "voice":
            heard.modes[body["mode"]] += 1
            if body["mode"] in ("av", "audio"):
                heard.chunks.append((body["mode"], body["modalities"], body["probability"]))
                heard.delays_ms.append((body["t_emit_ns"] - body["t_end_ns"]) / 1e6)
        elif topic == "status" and "robot" in body["clocks"]:
            heard.errors_ms.append(body["clocks"]["robot"]["offset_ms"] - TRUE_OFFSET_MS)
        if len(heard.finals) == clips:
            break
    for topic, body in run.heard(TELL_S):
        if topic == "status":
            heard.late = body["nodes"]["transcribe"].get("late", {}).get("face", 0)
    return heard


def cut_link(run: Run, hosts: Namespaces, seconds: float, before_s: float = BEFORE_S) -> dict[str, Any]:
    """Cuts the link while sound and lips are read.  audio_ms: until a chunk is told to be sound alone.

    back_s: from the link's return until a chunk is read from both again.  delays_ms: of each chunk from the
    end of its sound to its publication, while the link is cut.  holes: chunks that did not follow the one
    before.  says: what ``status`` said meanwhile.
    """
    until(run, "av", before_s + 10)
    for _ in run.heard(before_s):
        pass
    until(run, "av", 10)
    hosts.cut()
    cut_ns = time.monotonic_ns()
    audio_ms, delays_ms, holes, says, end_ns = float("inf"), [], 0, [], None
    for topic, body in run.heard(seconds):
        if topic == "status" and body["says"] not in says:
            says.append(body["says"])
        if topic != "voice":
            continue
        if body["mode"] == "audio" and audio_ms == float("inf"):
            audio_ms = (body["t_emit_ns"] - cut_ns) / 1e6
        delays_ms.append((body["t_emit_ns"] - body["t_end_ns"]) / 1e6)
        holes += end_ns is not None and body["t_start_ns"] != end_ns
        end_ns = body["t_end_ns"]
    hosts.mend()
    mended_ns = time.monotonic_ns()
    back = until(run, "av", BACK_S + AFTER_S)
    back_s = (back["t_emit_ns"] - mended_ns) / 1e9 if back else float("inf")
    return {
        "audio_ms": audio_ms,
        "back_s": back_s,
        "delays_ms": delays_ms,
        "holes": holes,
        "says": says,
        "seconds": seconds,
    }


def until(run: Run, mode: str, seconds: float) -> dict[str, Any] | None:
    for topic, body in run.heard(seconds):
        if topic == "voice" and body["mode"] == mode:
            return body
    return None


def told(cuts: list[dict[str, Any]]) -> list[str]:
    lines = [
        f"link cut for {cut['seconds']:g} s: sound alone after {cut['audio_ms']:.0f} ms (at most"
        f" {AUDIO_ONLY_MS:.0f}), both again {cut['back_s']:.2f} s after it was back (at most {BACK_S:g})"
        for cut in cuts
    ]
    delays_ms = [delay_ms for cut in cuts for delay_ms in cut["delays_ms"]]
    p50, p99 = np.percentile(delays_ms, [50, 99]) if delays_ms else (np.nan, np.nan)
    return [
        *lines,
        f"sound meanwhile: {len(delays_ms)} chunks, {sum(cut['holes'] for cut in cuts)} holes, end of capture"
        f" to publication p50 {p50:.0f} ms, p99 {p99:.0f} ms",
        f"status meanwhile: {' | '.join(cuts[0]['says'])}",
    ]


if __name__ == "__main__":
    raise SystemExit(main())
