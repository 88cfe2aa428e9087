"""A pipeline goes over to TensorRT while it runs, and hears the same (needs what test_engine.py needs)."""

import pytest

from engines.build import CPU
from engines.engine import OnnxRuntimeEngine, next_state, zero_state
from tests.gpu.test_engine import MODELS, REASON

pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)
pytest.importorskip("av", reason="pip install av: it reads the talker")


def test_the_swap_in_a_running_stream_changes_no_token(tmp_path, monkeypatch):
    from engines.serve import Server
    from engines.speech.rehearsal import rehearsal

    monkeypatch.setenv("HEARSEE_PLANS", str(tmp_path))
    server, plain = Server(), OnnxRuntimeEngine(MODELS["speech/audio"])
    assert server.capability != CPU
    engine = server(MODELS["speech/audio"])
    state, expected_state = zero_state(engine), zero_state(plain)
    heard_by = []
    for i, feeds in enumerate(rehearsal(plain, MODELS["speech/audio"].parent)):
        if i == 29:  # in the second pass through the talker
            server.wait(300)
        outputs = engine.run({**feeds, **state})
        expected = plain.run({**feeds, **expected_state})
        state, expected_state = next_state(outputs), next_state(expected)
        heard_by.append(engine.backend)
        assert (outputs["log_probs"].argmax(-1) == expected["log_probs"].argmax(-1)).all()
        if i == 120:
            break
    server.close()
    assert heard_by[0] == "onnxruntime"
    assert heard_by[-1].startswith("tensorrt"), server.report
