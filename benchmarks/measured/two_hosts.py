"""A pipeline on two hosts with a bad link between them, clips for its devices, and what it published."""

import json
import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import zmq

from benchmarks.measured.namespaces import UPTIME_S, Namespaces
from nodes.outputs import keys
from nodes.runtime.messages import CHUNK_NS

ROOT = Path(__file__).resolve().parents[2]
START_S = 180.0
LEAD_S = 1.0
CHUNK_S = CHUNK_NS / 1e9
TRUE_OFFSET_MS = (UPTIME_S[0] - UPTIME_S[1]) * 1e3
"""Of the robot's clock, as ``status`` should tell it."""

PIPELINE = """\
nodes:
  camera: {{node: "benchmarks.measured.played:Camera", group: capture, with: {played}}}
  face: {{node: perception/face, group: capture, inputs: [camera/picture]}}
  microphone: {{node: "benchmarks.measured.played:Microphone", group: ear, with: {played}}}
  transcribe:
    node: perception/transcribe
    group: perceive
    inputs: [microphone/audio, face/face]
    with: {{backend: onnxruntime}}
  publish:
    node: outputs/publish
    group: publish
    inputs: [transcribe/transcript, transcribe/voice, face/face]
    with: {{address: "ipc://{folder}/published"}}
"""
ROBOT = """\
groups: {{capture: {{runs_on: robot}}}}
cluster: {{address: {address}, keys: {folder}/keys}}
"""


class Run:
    """A pipeline that publishes; ``heard`` gives topic and body of what it says until ``until_s``."""

    def __init__(self, subscriber: "zmq.Socket[bytes]", folder: Path) -> None:
        self._subscriber = subscriber
        self._folder = folder

    def heard(self, seconds: float) -> Iterator[tuple[str, dict[str, Any]]]:
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            if self._subscriber.poll(20):
                topic, body = self._subscriber.recv_multipart()
                found = json.loads(body)
                if not found["repeat"]:
                    yield topic.decode(), found

    def begin(self) -> None:
        """Waits until all groups run, then lets camera and microphone begin in a second.

        They begin with a chunk: what the models are given would else be another with every run.
        """
        running = False
        for topic, body in self.heard(START_S):
            if topic == "status":
                states = [told["state"] for told in body["groups"].values()]
                running = len(states) >= 4 and set(states) == {"running"}
            elif topic == "voice" and running:
                break
        else:
            raise SystemExit(f"not all groups run after {START_S:.0f} s")
        chunks = math.ceil((time.time() + LEAD_S - body["unix_time"]) / CHUNK_S)
        written = self._folder / "begin.new"
        written.write_text(repr(body["unix_time"] + chunks * CHUNK_S))
        written.rename(self._folder / "begin")


@contextmanager
def running(
    hosts: Namespaces, folder: Path, clips: Sequence[Path], joined: Sequence[Path], two: bool
) -> Iterator[Run]:
    """The pipeline, on both of ``hosts`` or all of it on the first; stopped at the end.

    folder: empty, ours; a short path, for a socket lies in it.
    """
    played = {
        "begin": str(folder / "begin"),
        "clips": [str(clip) for clip in clips],
        "joined": [str(clip) for clip in joined],
    }
    text = PIPELINE.format(played=json.dumps(played), folder=folder)
    if two:
        keys.make(folder / "keys")
        text += ROBOT.format(address=hosts.addresses[0], folder=folder)
    (folder / "pipeline.yaml").write_text(text)
    python, environment = [sys.executable, "launch.py"], {**os.environ, "PYTHONPATH": str(ROOT)}
    commands = [(0, ["run", "--pipeline", str(folder / "pipeline.yaml")])]
    if two:
        commands.insert(0, (1, ["join", hosts.addresses[0], "--as", "robot", "--keys", str(folder / "keys")]))
    with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
        subscriber.linger = 0
        subscriber.subscribe("")
        subscriber.connect(f"ipc://{folder}/published")
        started = []
        try:
            for host, command in commands:
                with open(folder / f"{command[0]}.log", "w") as said:
                    started.append(
                        hosts.run(
                            host, [*python, *command], cwd=ROOT, env=environment, stdout=said, stderr=said
                        )
                    )
            yield Run(subscriber, folder)
        except BaseException:
            for log in folder.glob("*.log"):
                print(f"{log.name}: {log.read_text().strip()}", file=sys.stderr)
            raise
        finally:
            for process in reversed(started):
                hosts.interrupt(process)
                process.wait(30)
