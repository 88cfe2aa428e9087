"""float16 and int8 variants hear what the shipped models hear, on the processor, where they are made."""

import numpy as np
import onnx
import pytest

from engines.build import shipped_models
from engines.engine import ModelError, OnnxRuntimeEngine
from engines.golden import golden_error, golden_path
from engines.half import KEPT_FLOAT32, write_casts_once
from engines.speech.rehearsal import rehearsal
from engines.trust import AGREEMENTS, TOLERANCES, check_golden, prove, token_agreement
from engines.variant import make_variant

MODELS = shipped_models()


def variant(name, precision):
    return OnnxRuntimeEngine(MODELS[name], variant=make_variant(MODELS[name], precision))


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_a_variant_keeps_names_shapes_and_metadata(precision):
    plain, made = OnnxRuntimeEngine(MODELS["speech/audio"]), variant("speech/audio", precision)
    assert (made.inputs, made.outputs, made.metadata) == (plain.inputs, plain.outputs, plain.metadata)


@pytest.mark.parametrize("name", MODELS)
def test_float16_reproduces_the_golden_file(name):
    error = check_golden(variant(name, "float16"), golden_path(MODELS[name]), "float16")
    assert error > golden_error(OnnxRuntimeEngine(MODELS[name]), golden_path(MODELS[name]))


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_the_tokens_of_speech_stay_the_same(precision):
    plain = OnnxRuntimeEngine(MODELS["speech/audio"])
    speech = rehearsal(plain, MODELS["speech/audio"].parent)
    proof = prove(
        variant("speech/audio", precision), plain, golden_path(MODELS["speech/audio"]), precision, speech
    )
    assert proof.frames > 1000
    assert AGREEMENTS[precision] <= proof.agreement <= 1
    assert 0 < proof.error <= TOLERANCES[precision]


def test_casts_that_were_written_several_times_are_written_once():
    """onnxruntime 1.30 writes them so, and TensorRT's parser does not take it."""
    model = onnx.load_from_string(make_variant(MODELS["face/landmarks"], "float16"))
    before = [name for node in model.graph.node for name in node.output]
    model.graph.node.extend([node for node in model.graph.node if node.op_type == "Cast"])
    write_casts_once(model)
    assert sorted(name for node in model.graph.node for name in node.output) == sorted(before)
    assert len(before) == len(set(before))


def test_normalisations_and_softmaxes_stay_float32():
    model = onnx.load_from_string(make_variant(MODELS["speech/audio"], "float16"))
    halves = {
        tensor.name for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT16
    }
    casts = {node.output[0]: node.attribute[0].i for node in model.graph.node if node.op_type == "Cast"}
    halves |= {name for name, to in casts.items() if to == onnx.TensorProto.FLOAT16}
    kept = [
        node for node in model.graph.node if node.op_type in ("LayerNormalization", "Softmax", "LogSoftmax")
    ]
    assert len(kept) > 40
    assert not [name for node in kept for name in node.input if name in halves]
    assert {node.op_type for node in kept} <= set(KEPT_FLOAT32)
    products = [node for node in model.graph.node if node.op_type == "MatMul"]
    assert sum(any(name in halves for name in node.input) for node in products) > 50


class Mishears:
    """The real engine, but in every 150th step the second best token comes out first."""

    backend = "mishears"

    def __init__(self, engine):
        self._engine, self._steps = engine, 0
        self.inputs, self.outputs, self.metadata = engine.inputs, engine.outputs, engine.metadata

    def run(self, feeds):
        outputs = self._engine.run(feeds)
        self._steps += 1
        if self._steps % 150 == 0:
            outputs["log_probs"] = outputs["log_probs"].copy()
            best = outputs["log_probs"][0, 0].argmax()
            outputs["log_probs"][0, :, best] = -50
        return outputs


def test_an_engine_that_mishears_one_frame_in_hundreds_is_refused():
    plain = OnnxRuntimeEngine(MODELS["speech/audio"])
    speech = list(rehearsal(plain, MODELS["speech/audio"].parent))
    agreement, _ = token_agreement(plain, plain, speech[:20])
    assert agreement == 1
    with pytest.raises(ModelError, match=r"hears 99\.\d\d% of 1160 tokens as it should, less than 99\.9%"):
        prove(Mishears(plain), plain, golden_path(MODELS["speech/audio"]), "float32", speech)


def test_an_engine_that_gives_no_numbers_is_refused():
    class Nothing(Mishears):
        def run(self, feeds):
            return {name: np.full_like(value, np.nan) for name, value in self._engine.run(feeds).items()}

    plain = OnnxRuntimeEngine(MODELS["face/landmarks"])
    with pytest.raises(ModelError, match="is inf off it"):
        prove(Nothing(plain), plain, golden_path(MODELS["face/landmarks"]), "float16")


def test_a_precision_that_does_not_exist_is_named():
    with pytest.raises(ModelError, match="'float8': there are float32, float16, int8"):
        make_variant(MODELS["face/landmarks"], "float8")
