"""Recordings made of the talker, and replays of them in this process: one group, hosted without Ray."""

import json
import time
from pathlib import Path

from benchmarks.measured.hosted import replay
from nodes.outputs.mcap_file import McapFile
from nodes.runtime.node import Context
from nodes.runtime.recorded import keep
from nodes.sources.media import Media

ROOT = Path(__file__).resolve().parents[1]
TALKER = ROOT / "nodes" / "sources" / "talker" / "talker.mp4"
SENTENCES = json.loads(TALKER.with_suffix(".json").read_text())["sentences"]
UNIX_OFFSET_NS = 1_700_000_000_000_000_000


def played(path=TALKER):
    """What the sources would have sent: every message of a media file, without the tail of gaps."""
    node = Media(path=str(path), speed=0.0)
    node.open(Context(name="talker"))
    messages = []
    while not node.finished:
        messages += node.step([])
        time.sleep(0.001)
    node.close()
    return [m for m in messages if getattr(m, "reason", "") != "end of file"]


def recorded(path, messages, ports=("audio", "picture"), finish=True):
    """A recording of ``messages``, in their order, a chunk a second; cut off if not ``finish``."""
    file = McapFile(path, UNIX_OFFSET_NS, ports)
    flushed_ns = messages[0].t_end_ns
    for message in messages:
        schema, kept = keep(message, UNIX_OFFSET_NS, 95)
        topic = f"{message.stream}/{message.port if hasattr(kept, 'timestamp') else 'gap'}"
        file.write(topic, schema, kept, message.t_end_ns, message.t_start_ns, message.seq)
        if message.t_end_ns - flushed_ns > 1e9:
            file.flush()
            flushed_ns = message.t_end_ns
    if finish:
        file.finish()
    return path


def replayed(recording, out, speed=0.0):
    """The bytes of what was understood, and each line of it."""
    text = replay(recording, out, speed)
    return text, [json.loads(line) for line in text.splitlines()]


def finals(lines):
    return [line["text"] for line in lines if line["topic"] == "transcript.final"]
