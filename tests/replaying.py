"""Recordings made of the talker, and replays of them in this process: one group, hosted without Ray."""

import json
from pathlib import Path

from benchmarks.measured.hosted import played, replay
from nodes.outputs.mcap_file import McapFile
from nodes.runtime.recorded import keep

ROOT = Path(__file__).resolve().parents[1]
TALKER = ROOT / "nodes" / "sources" / "talker" / "talker.mp4"
SENTENCES = json.loads(TALKER.with_suffix(".json").read_text())["sentences"]
UNIX_OFFSET_NS = 1_700_000_000_000_000_000


def talking():
    """What the sources would have sent of the talker, without the tail of gaps."""
    return [m for m in played(TALKER) if getattr(m, "reason", "") != "end of file"]


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
