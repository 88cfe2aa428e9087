"""Whatever comes in at an edge of a running group: nothing breaks, nothing grows, and good messages pass."""

import json
import os
import struct
import tempfile
import time

import numpy as np
import psutil
import pytest
import zmq

from nodes.runtime.check import check
from nodes.runtime.edge import Inlet, Outlet
from nodes.runtime.graph import Bound, parse
from nodes.runtime.host import GroupHost
from nodes.runtime.messages import FRAME_NS, Audio, encode
from nodes.runtime.plan import Edge, plan
from tests.strangers import Raw, malformed

PIPELINE = """\
nodes:
  tone: {{node: "tests.runtime.sample_nodes:Tone", group: capture}}
  lips: {{node: "tests.runtime.sample_nodes:Lips", group: perceive, inputs: [tone/picture]}}
  slow: {{node: "tests.runtime.sample_nodes:Slow", group: perceive, inputs: [tone/audio, lips/face]}}
  diary:
    node: "tests.runtime.sample_nodes:Diary"
    group: perceive
    inputs: [tone/audio]
    with: {{path: "{path}"}}
"""
ROUTES = ["tone/audio", "tone/picture", "capture/health", "nobody/audio"]
MEGABYTE = 2**20
pytestmark = pytest.mark.live


@pytest.fixture
def hosted(tmp_path):
    """The group ``perceive`` of the pipeline above, what its diary heard, and the edge that leads to it."""
    diary = tmp_path / "diary.jsonl"
    (tmp_path / "pipeline.yaml").write_text(PIPELINE.format(path=diary))
    with tempfile.TemporaryDirectory(prefix="hs-", dir="/tmp") as sockets:
        planned = plan(check(parse(tmp_path / "pipeline.yaml")), sockets, live=True)
        host = GroupHost(planned.groups["perceive"])
        host.start()
        host.wait_open(10)
        host.go()
        [edge] = [edge for edge in planned.groups["perceive"].incoming if edge.source == "capture"]
        yield host, diary, edge
        host.stop()


def good(seq):
    message = Audio(
        stream="tone",
        seq=seq,
        epoch=0,
        t_start_ns=seq * FRAME_NS,
        t_end_ns=(seq + 1) * FRAME_NS,
        samples=np.full(640, seq, np.float32),
    )
    return encode(message, "tone/audio")


def heard(diary, count, seconds=30):
    """The numbers of the sound that the diary has, once there is so much of it."""
    until, seqs = time.monotonic() + seconds, []
    while len(seqs) < count and time.monotonic() < until:
        time.sleep(0.01)
        lines = diary.read_text().splitlines() if diary.exists() else []
        rows = [json.loads(line) for line in lines if line.endswith("}")]
        seqs = [row["seq"] for row in rows if row["kind"] == "Audio"]
    return seqs


def test_ten_thousand_malformed_messages_and_a_hundred_good_ones(hosted, caplog):
    host, diary, edge = hosted
    [inlet] = [inlet for inlet in host._inlets if inlet.edge is edge]
    process, rounds = psutil.Process(), []
    with zmq.Context() as context, context.socket(zmq.PUSH) as stranger:
        stranger.linger = 0
        stranger.bind(edge.address)
        seq = 0
        for round in range(10):
            for number, parts in enumerate(malformed(1000, ROUTES, seed=round)):
                stranger.send_multipart(parts)
                if number % 100 == 0:
                    stranger.send_multipart(good(seq))
                    seq += 1
            assert heard(diary, seq) == list(range(seq))
            until = time.monotonic() + 5
            while inlet.malformed < 1000 * (round + 1) and time.monotonic() < until:
                time.sleep(0.01)
            rounds.append((process.memory_info().rss, process.num_fds(), process.num_threads()))
    assert host.state == "running"
    assert host.error is None
    assert inlet.malformed == 10_000
    assert 1 <= len(caplog.records) <= 1 + 30 / 5, "one line in 5 s, however many"
    assert all(record.getMessage().isprintable() for record in caplog.records)
    states = {slot.spec.id: slot.state for slot in host._passing.slots}
    assert states == {"lips": "ok", "slow": "ok", "diary": "ok"}, "no node was brought down"
    memory = [resident for resident, _, _ in rounds]
    assert min(memory[-3:]) - min(memory[:3]) < 8 * MEGABYTE, rounds  # others are what was on its way
    assert rounds[-1][1:] == rounds[2][1:]


def test_whoever_connects_to_the_sending_end_can_say_what_he_likes(tmp_path):
    """Bytes, frames without end, commands, at the socket that only sends; then the real receiver comes."""
    edge = Edge(
        "capture",
        "perceive",
        f"ipc://{tmp_path}/edge",
        {"tone/audio": ("ear",)},
        {"tone/audio": Bound(100, 10**6)},
        False,
    )
    process = psutil.Process()
    with zmq.Context() as context:
        outlet = Outlet(edge, context)
        before = process.memory_info().rss, process.num_fds()
        for number in range(200):
            stranger = Raw(edge.address, b"PULL")
            wrong = [
                struct.pack(">BQ", 2, 2**62) + os.urandom(100_000),  # a frame that is longer than any memory
                struct.pack(">BB", 0, 100),  # and one that never comes
                bytes([4, 200]) + os.urandom(200),  # a command that does not exist
                b"GET / HTTP/1.1\r\n\r\n",
                struct.pack(">BQ", 2, 5000) + bytes(5000),  # longer than anything it may say
            ]
            stranger.send(wrong[number % len(wrong)])
            stranger.close()
        until = time.monotonic() + 5
        while process.num_fds() > before[1] and time.monotonic() < until:
            time.sleep(0.02)
        assert process.num_fds() == before[1]
        assert process.memory_info().rss - before[0] < 8 * MEGABYTE
        inlet = Inlet(edge, context)
        got = []
        for seq in range(20):
            outlet.put("tone/audio", Audio(**_times(seq), samples=np.zeros(640, np.float32)))
        until = time.monotonic() + 5
        while len(got) < 20 and time.monotonic() < until:
            outlet.flush()
            inlet.socket.poll(10)
            got += [message.seq for _, message in inlet.receive()]
        assert got == list(range(20))
        inlet.close()
        outlet.close()


def _times(seq):
    return {"stream": "tone", "seq": seq, "epoch": 0, "t_start_ns": seq, "t_end_ns": seq + 1}
