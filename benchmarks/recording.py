"""How large is a recording, what does it cost, and does its replay understand what was understood live?

    python -m benchmarks.recording [--clips N]

Plays GRID clips kept for validation through the pipeline, records each as ``launch.py record`` does, and
replays it twice, all as fast as it goes.  "Live" is the clip itself, before 16 bits and JPEG.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from benchmarks.measured.hosted import PIPELINE, played, replay, understood
from engines.speech.recordings import grid_clips, grid_split
from nodes.outputs.record import Record
from nodes.runtime import rewire
from nodes.runtime.graph import parse
from nodes.runtime.messages import Message
from nodes.runtime.node import Context

CLIPS = Path(__file__).parents[2] / "shared" / "data" / "grid_s1"


def record(messages: list[Message], folder: Path) -> tuple[Path, float]:
    """The recording of what a clip gives, and the seconds of processor it took to make."""
    node = Record(folder=str(folder), free_mb=0)
    node.open(Context(name="record", live=False))
    begun_s = time.process_time()
    for message in messages:
        node.step([message])
    node.close()
    [path] = folder.iterdir()
    return path, time.process_time() - begun_s


def texts(lines: bytes) -> list[str]:
    bodies = map(json.loads, lines.splitlines())
    return [body["text"] for body in bodies if body["topic"] == "transcript.final"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=20, help="how many")
    arguments = parser.parse_args()
    if not CLIPS.is_dir():
        raise SystemExit(f"{CLIPS}: not there; the recordings are not part of the repository")
    clips = [clip for clip in grid_clips(CLIPS) if grid_split(clip) == "validation"][: arguments.clips]
    same_words = same_bytes = size = sound_size = 0
    seconds = processor_s = 0.0
    for clip in clips:
        messages = [m for m in played(clip) if getattr(m, "reason", "") != "end of file"]
        sound = [m for m in messages if m.port == "audio"]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            path, cost_s = record(messages, folder / "all")
            sound_size += record(sound, folder / "sound")[0].stat().st_size
            options = {"path": str(clip), "speed": 0.0}
            live = rewire.replace_sources(parse(PIPELINE), "recording", "sources/media", options)
            said = texts(understood(rewire.in_one_group(live), folder / "live.jsonl"))
            once, twice = replay(path, folder / "once.jsonl"), replay(path, folder / "twice.jsonl")
            same_words += said == texts(once)
            same_bytes += once == twice
            size += path.stat().st_size
            seconds += (messages[-1].t_end_ns - messages[0].t_start_ns) / 1e9
            processor_s += cost_s
            if said != texts(once):
                print(f"{clip.stem}: live {said}, replayed {texts(once)}", flush=True)
    print(f"{len(clips)} clips, {seconds:.0f} s of 360x288 at 25 pictures a second")
    print(f"replayed twice, the same to the byte: {same_bytes} of {len(clips)}")
    print(f"replayed, the words that were understood live: {same_words} of {len(clips)}")
    for what, count in (("sound and pictures", size), ("sound alone", sound_size)):
        rate = count / seconds
        print(f"{what}: {rate / 1e3:.0f} kB/s, {rate * 3600 / 1e9:.2f} GB an hour")
    print(f"processor: {processor_s / seconds:.3f} of a core")
    return 0 if same_bytes == len(clips) else 1


if __name__ == "__main__":
    raise SystemExit(main())
