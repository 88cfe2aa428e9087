"""A file that a library never comes back from: said in a line, and Ctrl-C ends it."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "engines" / "sentiment" / "weights"
PIPELINE = """\
nodes:
  media: {{node: sources/media, group: capture, with: {{path: "{talker}"}}}}
  face: {{node: perception/face, group: perceive, inputs: [media/picture]}}
  transcribe: {{node: perception/transcribe, group: perceive, inputs: [media/audio, face/face]}}
  sentiment:
    node: perception/sentiment
    group: perceive
    inputs: [media/audio, face/face, transcribe/transcript, transcribe/voice]
    with: {{weights: "{weights}"}}
"""
REHEARSE = """
import sys
from pathlib import Path
from nodes.runtime.check import check
from nodes.runtime.graph import parse
from nodes.runtime.rehearse import rehearse
print("begun", flush=True)
rehearse(check(parse(Path(sys.argv[1]))), float(sys.argv[2]))
"""


@pytest.fixture
def rehearsal(tmp_path):
    """Starts a rehearsal of a pipeline with a model that onnxruntime 1.32 opens for ever.

    The fuzzer found it: an Einsum whose equation is none.
    """
    weights = tmp_path / "weights"
    shutil.copytree(WEIGHTS, weights)
    model = (WEIGHTS / "fusion.onnx").read_bytes()
    assert model.count(b"nmi,mio->nmo") == 1
    endless = model.replace(b"nmi,mio->nmo", b"\x92\x92\x96\xd3\x92\x96\x90\xd8>nmo")
    (weights / "fusion.onnx").write_bytes(endless)
    talker = ROOT / "nodes" / "sources" / "talker" / "talker.mp4"
    (tmp_path / "mine.yaml").write_text(PIPELINE.format(talker=talker, weights=weights))

    def start(patience_s):
        command = [sys.executable, "-c", REHEARSE, tmp_path / "mine.yaml", str(patience_s)]
        started.append(subprocess.Popen(command, cwd=ROOT, stdout=-1, stderr=-1, text=True))
        started[-1].stdout.readline()
        return started[-1]

    started = []
    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_model_that_opens_for_ever_is_said_in_one_line(rehearsal):
    process = rehearsal(6)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    [line] = said.strip().splitlines()
    assert line.startswith("error: sentiment: not open after 6 s; perhaps a model or media file")


def test_ctrl_c_ends_it_at_once(rehearsal):
    process = rehearsal(60)
    time.sleep(4)
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    _, said = process.communicate(timeout=20)
    assert time.monotonic() - begun < 2.0
    assert process.returncode == -signal.SIGINT
    assert said == ""
