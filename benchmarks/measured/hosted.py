"""A graph of one group run in this process, without Ray, as it is when a file or a recording is played."""

import tempfile
import time
from pathlib import Path

from nodes.runtime import rewire
from nodes.runtime.check import check
from nodes.runtime.graph import Graph, parse
from nodes.runtime.host import GroupHost
from nodes.runtime.messages import Message
from nodes.runtime.node import Context
from nodes.runtime.plan import plan
from nodes.sources.archive import probe
from nodes.sources.media import Media

PIPELINE = Path(__file__).resolve().parents[2] / "pipeline.yaml"


def played(path: Path) -> list[Message]:
    """Every message that a media file gives."""
    media = Media(path=str(path), speed=0.0)
    media.open(Context(name="media"))
    messages: list[Message] = []
    while not media.finished:
        messages += media.step([])
        time.sleep(0.001)
    media.close()
    return messages


def replay(recording: Path, out: Path, speed: float = 0.0) -> bytes:
    """What ``launch.py replay RECORDING --out OUT`` writes."""
    about = probe(str(recording))
    graph = rewire.for_replay(parse(PIPELINE), str(recording), speed, about.ports, about.unix_offset_ns)
    return understood(graph, out, about.unix_offset_ns)


def understood(graph: Graph, out: Path, unix_offset_ns: int = 0, timeout_s: float = 120.0) -> bytes:
    """The lines that a graph of one group writes to ``out``; RuntimeError where it does not end well."""
    graph = rewire.with_option(graph, "outputs/publish", "address", "tcp://127.0.0.1:*")
    graph = check(rewire.with_results(graph, str(out), unix_offset_ns))
    with tempfile.TemporaryDirectory(prefix="hs-", dir="/tmp") as sockets:
        [group] = plan(graph, sockets, live=False).groups.values()
        host = GroupHost(group)
        host.start()
        try:
            host.wait_open(60)
            host.go()
            until_s = time.monotonic() + timeout_s
            while host.state != "finished" and time.monotonic() < until_s:
                time.sleep(0.02)
            state = host.state
        finally:
            host.stop()
    if state != "finished" or host.error:
        raise RuntimeError(f"{state}: {host.error} {list(host.log_lines)}")
    return out.read_bytes()
