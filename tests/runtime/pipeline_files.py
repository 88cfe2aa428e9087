"""A pipeline.yaml that is right, one on two hosts, and the one that is shipped."""

from pathlib import Path

from nodes.runtime.graph import parse

SAMPLE = "tests.runtime.sample_nodes"
GOOD = f"""\
nodes:
  camera:
    node: {SAMPLE}:Camera
    group: capture
    with: {{device: 0}}

  microphone:
    node: {SAMPLE}:Microphone
    group: capture

  face:
    node: {SAMPLE}:Lips
    group: perceive
    inputs: [camera/picture]

  words:
    node: {SAMPLE}:Words
    group: perceive
    inputs: [microphone/audio, face/face]
    with: {{rate: 2, names: [a, b]}}

  diary:
    node: {SAMPLE}:Diary
    group: publish
    inputs: [words/transcript, words/voice, face/face]
    with: {{path: diary.txt}}
"""
ROBOT = """\
groups: {capture: {runs_on: robot}}
cluster: {address: 10.0.0.1, keys: keys}
"""
ADDRESSES = {"local": "10.0.0.1", "robot": "10.0.0.2"}


def read(tmp_path, text):
    file = tmp_path / "pipeline.yaml"
    file.write_text(text)
    return parse(file)


def shipped():
    return parse(Path(__file__).parents[2] / "pipeline.yaml")
