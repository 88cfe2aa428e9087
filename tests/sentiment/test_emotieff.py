"""EmotiEffLib's expert for faces, on a file of random weights in its layout."""

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto as Kind
from onnx import helper, numpy_helper

from engines.engine import ModelError
from engines.sentiment.emotieff import EXPRESSIONS, EmotiEff, prepared, seven
from engines.sentiment.emotions import EMOTIONS, softmax


def write(path, side=224, outputs=10, name="input"):
    """``input`` [N, 3, side, side] to ``output`` [N, outputs]: two convolutions, a mean, a product."""
    rng = np.random.default_rng(3)
    weights = {
        "a": rng.normal(0, 0.2, (8, 3, 7, 7)),
        "b": rng.normal(0, 0.2, (16, 8, 3, 3)),
        "c": rng.normal(0, 1.0, (16, outputs)),
    }
    nodes = [
        helper.make_node("Conv", [name, "a"], ["x"], strides=[4, 4]),
        helper.make_node("Relu", ["x"], ["y"]),
        helper.make_node("Conv", ["y", "b"], ["z"], strides=[2, 2]),
        helper.make_node("GlobalAveragePool", ["z"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("MatMul", ["f", "c"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, Kind.FLOAT, ["batch_size", 3, side, side])],
        [helper.make_tensor_value_info("output", Kind.FLOAT, ["batch_size", outputs])],
        [numpy_helper.from_array(w.astype(np.float32), k) for k, w in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


@pytest.fixture(scope="module")
def expert(tmp_path_factory):
    return EmotiEff(write(tmp_path_factory.mktemp("emotieff") / "enet_b0_8_va_mtl.onnx"))


def picture(seed=0, shape=(64, 64)):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def test_a_picture_is_prepared_as_its_authors_do():
    """``preprocess`` of hsemotion-onnx, in float64, given RGB."""
    bgr = picture(1, (180, 150, 3))
    wanted = cv2.resize(bgr[..., ::-1], (224, 224)) / 255
    for i, (mean, spread) in enumerate(((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))):
        wanted[..., i] = (wanted[..., i] - mean) / spread
    assert prepared(bgr) == pytest.approx(wanted.transpose(2, 0, 1), abs=1e-5)
    assert prepared(bgr).dtype == np.float32


def test_grey_is_the_same_in_all_three_colours():
    grey = picture(2)
    assert np.array_equal(prepared(grey), prepared(np.repeat(grey[..., None], 3, axis=2)))


@pytest.mark.parametrize("shape", [(64, 64), (224, 224, 3), (97, 40, 3)])
def test_it_gives_what_our_own_expert_gives(expert, shape):
    said = expert.run(picture(4, shape))
    assert {name: (value.shape, value.dtype) for name, value in said.items()} == {
        "logits": ((1, 7), np.float32),
        "affect": ((1, 2), np.float32),
        "embedding": ((1, 64), np.float32),
    }
    assert np.abs(said["affect"]).max() <= 1
    assert not said["embedding"].any()
    assert np.isfinite(said["logits"]).all()
    assert not np.array_equal(said["logits"], expert.run(picture(5, shape))["logits"])


@pytest.mark.parametrize(
    ("expression", "emotion"),
    [*((name, name) for name in EXPRESSIONS if name != "contempt"), ("contempt", "disgust")],
)
def test_each_expression_is_the_emotion_of_its_name_and_contempt_is_disgust(expression, emotion):
    logits = np.zeros((1, 8), np.float32)
    logits[0, EXPRESSIONS.index(expression)] = 5.0
    assert EMOTIONS[int(seven(logits).argmax())] == emotion


def test_the_probabilities_of_the_others_stay_as_they_were():
    logits = np.random.default_rng(6).normal(0, 2, (5, 8)).astype(np.float32)
    before, after = softmax(logits), softmax(seven(logits))
    for name in EMOTIONS:
        held = before[:, EXPRESSIONS.index(name)]
        if name == "disgust":
            held = held + before[:, EXPRESSIONS.index("contempt")]
        assert after[:, EMOTIONS.index(name)] == pytest.approx(held, abs=1e-5)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"outputs": 8}, "not enet_b0_8_va_mtl"),
        ({"side": 260}, "cannot be run"),
        ({"name": "data"}, "another model's export"),
    ],
)
def test_another_model_is_told_in_one_line(tmp_path, changed, says):
    with pytest.raises(ModelError, match=says) as error:
        EmotiEff(write(tmp_path / "model.onnx", **changed))
    assert "\n" not in str(error.value)
