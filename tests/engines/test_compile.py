"""Every shipped engine is compiled with TensorRT-RTX, for GPUs that are not here."""

import time

import onnx
import pytest

from engines.build import shipped_models, widest
from engines.engine import ModelError
from engines.gpu.compile import PRODUCTS, SUMS, capabilities, compile_plan
from engines.gpu.library import find_library
from engines.variant import LARGEST_BATCH, make_variant

TARGETS = (86, 89, 120)
BUILD_S = 20.0
MODELS = shipped_models()

pytest.importorskip("tensorrt_rtx", reason="pip install tensorrt-rtx-cu13", exc_type=OSError)


def compiled(model, precision, target):
    begun_s = time.process_time()
    plan, report = compile_plan(
        find_library(), make_variant(model, precision), model.stem, target, precision == "float16"
    )
    # Of the processor, so that a busy machine does not count; the builder is mostly one thread.
    return plan, report, time.process_time() - begun_s


def said(name, report, seconds):
    print(
        f"{name}: {report.count} layers, {report.float16} float16, {report.float32} float32, "
        f"{report.bytes / 1e6:.1f} MB, {seconds:.1f} s"
    )


def test_models_are_shipped():
    assert {"speech/fusion", "sentiment/fusion", "face/landmarks"} <= MODELS.keys()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", MODELS)
def test_float16_is_compiled_without_islands(name, target):
    plan, report, seconds = compiled(MODELS[name], "float16", target)
    said(name, report, seconds)
    assert seconds <= BUILD_S
    assert report.bytes == len(plan) > 100_000
    assert report.islands == ()
    # What stays float32 is many small layers where it ends in sums of exponentials, as voice does.
    assert 2 * report.float16 > report.float32 > 0
    assert any(report.layers.get(kind) for kind in PRODUCTS)
    assert any(report.layers.get(kind) for kind in SUMS)


def test_a_plan_for_many_streams_has_no_islands_either():
    audio = MODELS["speech/audio"]
    if widest(audio, LARGEST_BATCH) == 1:
        pytest.skip("the shipped audio engine was exported for one stream")
    _, report = compile_plan(
        find_library(), make_variant(audio, "float16", LARGEST_BATCH), "audio", 89, half=True
    )
    assert report.islands == ()
    assert report.float16 > report.float32 > 0


@pytest.mark.parametrize("name", ["speech/fusion", "face/landmarks"])
def test_float32_has_no_float16_anywhere(name):
    _, report, seconds = compiled(MODELS[name], "float32", 89)
    said(name, report, seconds)
    assert seconds <= BUILD_S
    assert report.islands == ()
    assert report.float16 == 0
    assert report.float32 > 10


def test_an_island_is_found():
    """A float32 file taken for a float16 one: its products are islands, each named."""
    model = MODELS["face/landmarks"]
    _, report = compile_plan(find_library(), make_variant(model, "float32"), model.stem, 89, half=True)
    assert len(report.islands) == report.layers["CONVOLUTION"] + report.layers["MATRIX_MULTIPLY"]
    assert all("FLOAT" in island for island in report.islands)


def test_progress_is_told_from_none_to_all():
    model = MODELS["face/landmarks"]
    told = []
    compile_plan(
        find_library(), make_variant(model, "float32"), model.stem, 89, False, lambda *news: told.append(news)
    )
    phase, first, steps = told[0]
    assert first == 0
    assert (phase, steps, steps) in told


def test_a_target_that_the_library_does_not_know_is_named():
    library = find_library()
    with pytest.raises(ModelError, match=f"sm_90; it does for sm_{capabilities(library)[0]}"):
        compile_plan(library, b"", "x.onnx", 90, False)


def test_a_file_that_is_no_model_is_named():
    with pytest.raises(ModelError, match=r"x\.onnx: tensorrt.* cannot parse it"):
        compile_plan(find_library(), b"not a model", "x.onnx", 89, False)


def test_a_model_of_operations_that_tensorrt_does_not_have_is_named():
    node = onnx.helper.make_node("Det", ["x"], ["y"])
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [2, 3, 3])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [2])
    model = onnx.helper.make_model(
        onnx.helper.make_graph([node], "g", [x], [y]), opset_imports=[onnx.helper.make_opsetid("", 18)]
    )
    with pytest.raises(ModelError, match=r"det\.onnx: tensorrt"):
        compile_plan(find_library(), model.SerializeToString(), "det.onnx", 89, False)
