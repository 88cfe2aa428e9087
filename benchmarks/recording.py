"""How large is a recording, what does it cost, and does its replay understand what was understood live?

    python -m benchmarks.recording [--clips N]

Plays GRID clips kept for validation through the pipeline, records each as ``launch.py record`` does, and
replays it twice, all as fast as it goes.  "Live" is the clip itself, before 16 bits and JPEG.
"""

import argparse
import json
import tempfile
import time
from collections import Counter
from pathlib import Path

from mcap.reader import make_reader

from benchmarks.measured.hosted import PIPELINE, played, replay, understood
from engines.speech.recordings import grid_clips, grid_split
from nodes.outputs.record import Record
from nodes.runtime import rewire
from nodes.runtime.graph import parse
from nodes.runtime.node import Context

CLIPS = Path(__file__).parents[2] / "shared" / "data" / "grid_s1"


def record(clip: Path, folder: Path) -> tuple[Path, float, float]:
    """The recording of a clip, its seconds, and the seconds of processor it took to make."""
    messages = [m for m in played(clip) if getattr(m, "reason", "") != "end of file"]
    node = Record(folder=str(folder), free_mb=0)
    node.open(Context(name="record", live=False))
    begun = time.process_time()
    for message in messages:
        node.step([message])
    node.close()
    [path] = folder.iterdir()
    seconds = (messages[-1].t_end_ns - messages[0].t_start_ns) / 1e9
    return path, seconds, time.process_time() - begun


def texts(lines: bytes) -> list[str]:
    bodies = map(json.loads, lines.splitlines())
    return [body["text"] for body in bodies if body["topic"] == "transcript.final"]


def packed_bytes(path: Path) -> Counter[str]:
    """Bytes of each topic's messages before the chunks are packed."""
    size: Counter[str] = Counter()
    with path.open("rb") as file:
        for _, channel, message in make_reader(file).iter_messages():
            size[channel.topic.rpartition("/")[2]] += len(message.data)
    return size


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=20, help="how many")
    options = parser.parse_args()
    if not CLIPS.is_dir():
        raise SystemExit(f"{CLIPS}: not there; the recordings are not part of the repository")
    clips = [clip for clip in grid_clips(CLIPS) if grid_split(clip) == "validation"][: options.clips]
    same_words = same_bytes = size = 0
    seconds = processor_s = 0.0
    unpacked: Counter[str] = Counter()
    for clip in clips:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "made").mkdir()
            path, clip_s, cost_s = record(clip, folder / "made")
            live = rewire.replace_sources(
                parse(PIPELINE), "recording", "sources/media", {"path": str(clip), "speed": 0.0}
            )
            said = texts(understood(rewire.in_one_group(live), folder / "live.jsonl"))
            once, twice = replay(path, folder / "once.jsonl"), replay(path, folder / "twice.jsonl")
            same_words += said == texts(once)
            same_bytes += once == twice
            size += path.stat().st_size
            seconds, processor_s = seconds + clip_s, processor_s + cost_s
            unpacked += packed_bytes(path)
            if said != texts(once):
                print(f"{clip.stem}: live {said}, replayed {texts(once)}", flush=True)
    print(f"{len(clips)} clips, {seconds:.0f} s of 360x288 at 25 pictures a second")
    print(f"replayed twice, the same to the byte: {same_bytes} of {len(clips)}")
    print(f"replayed, the words that were understood live: {same_words} of {len(clips)}")
    rate = size / seconds
    print(f"size: {rate / 1e3:.0f} kB/s, {rate * 3600 / 1e9:.2f} GB an hour; before it is packed")
    for port, count in unpacked.most_common(3):
        print(f"  {port}: {count / seconds / 1e3:.0f} kB/s")
    print(f"processor: {processor_s / seconds:.3f} of a core")
    return 0 if same_bytes == len(clips) else 1


if __name__ == "__main__":
    raise SystemExit(main())
