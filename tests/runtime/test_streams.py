"""Several cameras and microphones in one pipeline: each stream keeps its name to the end."""

import json
import tempfile
import time
from collections import defaultdict

import pytest
import zmq

from nodes.runtime.check import check
from nodes.runtime.graph import parse
from nodes.runtime.host import GroupHost
from nodes.runtime.plan import plan

pytestmark = pytest.mark.live
SAMPLE = "tests.runtime.sample_nodes"
PIPELINE = f"""\
nodes:
  left: {{{{node: "{SAMPLE}:Tone", group: capture}}}}
  right: {{{{node: "{SAMPLE}:Tone", group: capture, with: {{{{side: 24}}}}}}}}
  left-face: {{{{node: "{SAMPLE}:Lips", group: perceive, inputs: [left/picture]}}}}
  right-face: {{{{node: "{SAMPLE}:Lips", group: perceive, inputs: [right/picture]}}}}
  left-words: {{{{node: "{SAMPLE}:Slow", group: perceive, inputs: [left/audio, left-face/face]}}}}
  right-words: {{{{node: "{SAMPLE}:Slow", group: perceive, inputs: [right/audio, right-face/face]}}}}
  publish:
    node: outputs/publish
    group: publish
    inputs: [left-words/voice, right-words/voice, left-face/face, right-face/face]
    with: {{{{address: "ipc://{{folder}}/published"}}}}
"""


def test_two_cameras_and_two_microphones_are_published_each_under_its_name(tmp_path):
    with tempfile.TemporaryDirectory(prefix="hs-", dir="/tmp") as folder, zmq.Context() as context:
        (tmp_path / "two.yaml").write_text(PIPELINE.format(folder=folder))
        planned = plan(check(parse(tmp_path / "two.yaml")), folder, True)
        hosts = [GroupHost(group) for group in planned.groups.values()]
        with context.socket(zmq.SUB) as subscriber:
            subscriber.subscribe("")
            subscriber.connect(f"ipc://{folder}/published")
            for host in hosts:
                host.start()
            for host in hosts:
                host.wait_open(10)
            for host in hosts:
                host.go()
            numbers, status, until_s = defaultdict(list), {}, time.monotonic() + 20
            while time.monotonic() < until_s and (len(numbers) < 4 or len(status.get("drops", {})) < 8):
                if subscriber.poll(100):
                    topic, body = subscriber.recv_multipart()
                    body = json.loads(body)
                    if topic == b"status":
                        status = body
                    elif not body["repeat"]:
                        numbers[topic.decode(), body["stream"]].append(body["seq"])
            for host in hosts:
                host.stop()
    assert set(numbers) == {
        ("voice", "left-words"),
        ("voice", "right-words"),
        ("face", "left"),
        ("face", "right"),
    }
    for heard in numbers.values():
        assert heard == list(range(heard[0], heard[0] + len(heard))), "numbers count each stream for itself"
    assert {"left/picture>perceive", "right/audio>perceive", "right-face/face>publish"} <= set(
        status["drops"]
    )
