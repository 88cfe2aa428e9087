"""How often is sentiment told, what does it cost, does it jump when a modality is cut?

    python -m benchmarks.sentiment [--clips N]

Real clips of GRID, one after the other as one film, in real time through the whole pipeline; for a while
without its picture, later without its sound.  Then the node alone, on what the others tell of the same film:
the processor time of its steps over how long the film is.
"""

import argparse
import json
import subprocess
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import yaml

from benchmarks.measured.launched import ROOT, START_S, free_address, launched, subscribed
from engines.speech.recordings import grid_clips, grid_split
from nodes.perception.face import Face
from nodes.perception.sentiment import Sentiment
from nodes.perception.transcribe import Transcribe
from nodes.runtime.messages import CHUNK_NS
from nodes.runtime.node import Context
from nodes.sources.media import Media

CLIPS = ROOT / ".." / "shared" / "data" / "grid_s1"
CUT_S = {"video": (8.0, 14.0), "audio": (18.0, 24.0)}
SHORTEST_S = 27.0
TARGET_RATE, TARGET_CORES, TARGET_JUMP = 2.0, 0.15, 0.3
# The first answer comes once a face is found; a file ends with a second of nothing.
SETTLED_S = 1.0
SECOND = 1_000_000_000


def join(clips: list[Path], film: Path) -> float:
    """Writes the clips one after the other as ``film``, nothing coded anew; returns its length in seconds."""
    begin_s = 0.0
    with av.open(str(film), "w") as out:
        streams: dict[str, Any] = {}
        for path in clips:
            with av.open(str(path)) as clip:
                for stream in (clip.streams.video[0], clip.streams.audio[0]):
                    if stream.type not in streams:
                        streams[stream.type] = out.add_stream_from_template(stream)
                for packet in clip.demux():
                    if packet.dts is None or packet.pts is None:
                        continue
                    shift = round(begin_s / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = streams[packet.stream.type]
                    out.mux(packet)
                begin_s += clip.duration / av.time_base
    return begin_s


def wiring(film: Path) -> dict[str, Any]:
    """``pipeline.yaml`` with the film, cut, in place of the devices."""
    graph = yaml.safe_load((ROOT / "pipeline.yaml").read_text())
    nodes = graph["nodes"]
    for name in ("camera", "microphone"):
        del nodes[name]
    for node in nodes.values():
        node["inputs"] = [
            f"media/{one.split('/')[1]}" if one.split("/")[0] in ("camera", "microphone") else one
            for one in node["inputs"]
        ]
    cut = [f"{what} {begin:g}-{end:g}" for what, (begin, end) in CUT_S.items()]
    media = {"node": "sources/media", "group": "capture", "with": {"path": str(film), "cut": cut}}
    graph["nodes"] = {"media": media, **nodes}
    return dict(graph)


def told(film: Path, folder: Path) -> list[dict[str, Any]]:
    """The bodies that the pipeline publishes on ``sentiment``, each with ``at_s``, its time in the film."""
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(wiring(film), sort_keys=False))
    address, bodies, begun_ns = free_address(), [], 0
    with (
        subscribed(address) as subscriber,
        launched(address, "--pipeline", str(folder / "pipeline.yaml")) as process,
    ):
        until_s = time.monotonic() + START_S
        while process.poll() is None and time.monotonic() < until_s:
            while subscriber.poll(200):
                topic, body = subscriber.recv_multipart()
                message = json.loads(body)
                if topic == b"voice" and not begun_ns:
                    begun_ns = message["t_end_ns"] - (message["seq"] + 1) * CHUNK_NS
                if topic == b"sentiment" and not message.get("repeat"):
                    bodies.append(message)
        try:
            if process.wait(10):
                raise SystemExit(f"launch.py ended with {process.returncode}")
        except subprocess.TimeoutExpired:
            raise SystemExit(f"the film was not played to its end in {START_S:.0f} s") from None
    return [{**body, "at_s": (body["t_end_ns"] - begun_ns) / SECOND} for body in bodies]


def cores(film: Path, length_s: float) -> float:
    """Processor time of the node's steps over the film's length, everything in this process."""
    source, face, transcribe, node = Media(path=str(film), speed=0), Face(), Transcribe(), Sentiment()
    for name, each in (("media", source), ("face", face), ("transcribe", transcribe), ("sentiment", node)):
        each.open(Context(name=name, live=False, wired=frozenset(each.inputs)))
    spent = 0.0
    while not source.finished:
        for message in source.step([]) or [time.sleep(0.002)]:
            if message is None:
                continue
            before = [message, *face.step([message])]
            heard = [*before, *transcribe.step(before)]
            begin = time.thread_time()
            node.step(heard)
            spent += time.thread_time() - begin
    for each in (source, face, transcribe, node):
        each.close()
    return spent / length_s


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=10, help="how many make the film; 3 s each")
    options = parser.parse_args()
    if not CLIPS.is_dir():
        raise SystemExit(f"{CLIPS}: not there; the recordings are not part of the repository")
    clips = [clip for clip in grid_clips(CLIPS) if grid_split(clip) == "validation"][: options.clips]
    with tempfile.TemporaryDirectory() as scratch:
        film = Path(scratch) / "film.mkv"
        length_s = join(clips, film)
        if length_s < SHORTEST_S:
            raise SystemExit(f"{len(clips)} clips are {length_s:.0f} s; the cuts need {SHORTEST_S:.0f}")
        messages = told(film, Path(scratch))
        share = cores(film, length_s)
    stretches = {"with both": (SETTLED_S, CUT_S["video"][0])}
    stretches |= {f"without {what}": stretch for what, stretch in CUT_S.items()}
    rates, jumps = [], []
    print(f"{len(clips)} clips of GRID, {length_s:.0f} s")
    print(f"{'':18}{'a second':>10}{'largest step of valence':>26}")
    for name, (begin_s, end_s) in {**stretches, "all of it": (SETTLED_S, length_s)}.items():
        there = [message for message in messages if begin_s <= message["at_s"] < end_s]
        # A cut shows in the steps that lead into it and out of it, too.
        near = [message for message in messages if begin_s - 1 <= message["at_s"] < end_s + 3]
        rates.append(len(there) / (end_s - begin_s))
        jumps.append(max((abs(a["valence"] - b["valence"]) for a, b in pairwise(near)), default=0.0))
        print(f"{name:18}{rates[-1]:10.1f}{jumps[-1]:26.3f}")
    print(f"the node's steps: {share:.3f} of a core")
    met = min(rates) >= TARGET_RATE and max(jumps) <= TARGET_JUMP and share <= TARGET_CORES
    print(
        f"at least {TARGET_RATE:g} a second, steps up to {TARGET_JUMP:g}, up to {TARGET_CORES:g} of a core: "
        f"{'met' if met else 'MISSED'}"
    )
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
