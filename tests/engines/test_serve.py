"""Engines change while a stream runs: the pipeline's own node on hearsee's own talker."""

import time

import numpy as np
import pytest

from engines.build import CPU, Wanted, shipped_models
from engines.engine import ModelError, next_state, open_engine, zero_state
from engines.gpu.device import DeviceError
from engines.serve import Served, Server
from engines.speech.evaluation.replay import blocks, play
from engines.speech.rehearsal import TALKER, read_sound, rehearsal
from nodes.perception.transcribe import Transcribe
from nodes.runtime.errors import UserError
from nodes.runtime.messages import Transcript
from nodes.runtime.node import Context

MODELS = shipped_models()


@pytest.fixture(autouse=True)
def plans(tmp_path, monkeypatch):
    monkeypatch.setenv("HEARSEE_PLANS", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def talk():
    return sorted([*blocks(read_sound()), *play(TALKER).faces], key=lambda message: message.t_end_ns)


def opened(**options):
    node = Transcribe(**options)
    node.open(Context(name="transcribe", live=False))
    return node


def words(messages):
    return [
        (word.text, word.t_start_ns, word.t_end_ns, word.heard_by)
        for message in messages
        if isinstance(message, Transcript) and message.final
        for word in message.words
    ]


def test_the_swap_in_a_running_stream_changes_no_word(talk):
    plain = opened(backend="onnxruntime")
    expected = words(plain.step(talk))
    assert plain.engines == dict.fromkeys(("audio", "video", "fusion"), "onnxruntime float32")
    plain.close()
    node = opened(backend="onnxruntime", precision="float16")
    first, rest = talk[: len(talk) // 3], talk[len(talk) // 3 :]
    made = node.step(first)
    assert set(node.engines.values()) == {"onnxruntime float32; onnxruntime float16 is being built"}
    node._engines.wait(120)
    made += node.step(rest)
    assert node.engines == dict.fromkeys(("audio", "video", "fusion"), "onnxruntime float16")
    node.close()
    assert len(expected) == 12
    assert words(made) == expected


def test_the_state_goes_over_with_the_stream():
    """A swap that forgot it would give other numbers at once."""
    plain = open_engine(MODELS["speech/audio"])
    server = Server("onnxruntime", "float16")
    engine = server(MODELS["speech/audio"])
    state, expected_state = zero_state(engine), zero_state(plain)
    for i, feeds in enumerate(rehearsal(plain, MODELS["speech/audio"].parent)):
        if i == 8:
            server.wait(120)
        if i == 20:
            break
        outputs = engine.run({**feeds, **state})
        expected = plain.run({**feeds, **expected_state})
        state, expected_state = next_state(outputs), next_state(expected)
        error = np.abs(outputs["log_probs"] - expected["log_probs"]).max()
        assert error < (0.05 if i >= 8 else 1e-6)
    assert server.report == {"audio": "onnxruntime float16"}
    forgotten = plain.run({**feeds, **zero_state(plain)})
    assert np.abs(forgotten["log_probs"] - expected["log_probs"]).max() > 0.5
    server.close()


class Fails:
    """An engine whose device goes away at its third step."""

    backend = "gpu"

    def __init__(self, engine):
        self._engine, self._left = engine, 2
        self.inputs, self.outputs, self.metadata = engine.inputs, engine.outputs, engine.metadata

    def run(self, feeds):
        self._left -= 1
        if self._left < 0:
            raise DeviceError("GPU: cudaGraphLaunch failed (cudaErrorDeviceUninitialized); see nvidia-smi")
        return self._engine.run(feeds)


def test_where_the_device_fails_the_processor_goes_on_at_the_same_step(caplog):
    plain = open_engine(MODELS["speech/fusion"])
    served = Served(open_engine(MODELS["speech/fusion"]))
    served._next = Fails(plain)
    state, expected_state = zero_state(plain), zero_state(plain)
    backends = []
    for i, feeds in enumerate(rehearsal(plain, MODELS["speech/fusion"].parent)):
        if i == 5:
            break
        outputs, expected = served.run({**feeds, **state}), plain.run({**feeds, **expected_state})
        state, expected_state = next_state(outputs), next_state(expected)
        backends.append(served.backend)
        assert np.array_equal(outputs["log_probs"], expected["log_probs"])
    assert backends == ["gpu", "gpu", "onnxruntime", "onnxruntime", "onnxruntime"]
    assert "onnxruntime goes on" in caplog.text
    assert "see nvidia-smi" in served.report


def test_closing_ends_a_build_at_once(tmp_path, monkeypatch):
    sleeper = tmp_path / "python"
    sleeper.write_text("#!/bin/sh\nexec sleep 60\n")
    sleeper.chmod(0o755)
    monkeypatch.setattr("engines.serve.sys.executable", str(sleeper))
    served = Served(open_engine(MODELS["speech/audio"]), Wanted(MODELS["speech/audio"], "float16", CPU))
    end = time.monotonic() + 20
    while not served._children and time.monotonic() < end:
        time.sleep(0.01)
    begun = time.monotonic()
    served.close()
    served.wait(5)
    assert time.monotonic() - begun < 1
    assert not served._children


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"backend": "cuda"}, "backend 'cuda': there are auto, onnxruntime, tensorrt"),
        ({"precision": "float8"}, "precision 'float8': there are auto, float32, float16, int8"),
    ],
)
def test_an_option_that_does_not_exist_is_named(options, said):
    with pytest.raises(UserError, match=said):
        opened(**options)


def test_a_gpu_that_is_not_there_is_named():
    from engines.gpu.device import find_capability

    if find_capability() is not None:
        assert Server("tensorrt").capability != CPU
        return
    with pytest.raises(ModelError, match="no NVIDIA GPU"):
        Server("tensorrt")
