"""TensorRT plans where they run: ``python -m pytest tests/gpu`` on a machine with an NVIDIA GPU.

It needs the GPU's driver, cuda-python, and a TensorRT that knows the GPU: ``pip install cuda-python
tensorrt-rtx-cu13`` for RTX cards, ``tensorrt`` for data-centre GPUs and Jetsons; nothing else, and no torch.
"""

import numpy as np
import pytest

from benchmarks.engines import random_feeds
from engines.build import Wanted, build, load_plan, shipped_models
from engines.engine import ModelError, OnnxRuntimeEngine, next_state, zero_state
from engines.golden import golden_error, golden_path
from engines.gpu.compile import capabilities
from engines.gpu.device import call, find_capability
from engines.gpu.library import find_library
from engines.trust import TOLERANCES

STEPS = 40


def missing():
    capability = find_capability()
    if capability is None:
        return "needs an NVIDIA GPU, its driver and cuda-python"
    try:
        library = find_library()
    except ModelError as error:
        return str(error)
    known = capabilities(library)
    if known and capability not in known:
        return f"{library.name} {library.version} does not compile for this GPU, sm_{capability}"
    return ""


REASON = missing()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)
MODELS = shipped_models()


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """Engines on the GPU, and on the processor; what was opened is closed."""
    monkeypatch.setenv("HEARSEE_PLANS", str(tmp_path))
    engines = []

    def open_one(name, precision="float32", batch=1):
        wanted = Wanted(MODELS[name], precision, f"sm_{find_capability()}", batch)
        plain = OnnxRuntimeEngine(MODELS[name], batch)
        engines.append(load_plan(wanted, build(wanted).plan, plain))
        return engines[-1], plain

    yield open_one
    for engine in engines:
        engine.close()


def step(engine, state, seed):
    outputs = engine.run({**random_feeds(engine, seed), **state})
    return outputs, next_state(outputs)


def largest_difference(one, other):
    return max(float(np.abs(np.asarray(one[name]) - other[name]).max()) for name in other)


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("name", MODELS)
def test_a_plan_reproduces_the_golden_file(opened, name, precision):
    engine, _ = opened(name, precision)
    assert golden_error(engine, golden_path(MODELS[name])) <= TOLERANCES[precision]


@pytest.mark.parametrize("name", ["speech/audio", "speech/video", "speech/fusion"])
def test_many_steps_of_state_on_the_device_are_those_of_the_processor(opened, name):
    engine, plain = opened(name)
    state, expected_state = zero_state(engine), zero_state(plain)
    for seed in range(STEPS):
        outputs, state = step(engine, state, seed)
        expected, expected_state = step(plain, expected_state, seed)
        assert largest_difference(outputs, expected) < 5e-3


def test_a_stream_goes_over_to_the_gpu_and_back_with_its_state(opened):
    engine, plain = opened("speech/audio")
    state, expected_state = zero_state(plain), zero_state(plain)
    for seed in range(30):
        serving = engine if 10 <= seed < 20 else plain
        if serving is plain:
            state = {name: np.asarray(value) for name, value in state.items()}
        outputs, state = step(serving, state, seed)
        expected, expected_state = step(plain, expected_state, seed)
        assert largest_difference(outputs, expected) < 5e-3


def test_a_state_of_long_ago_is_refused_and_not_mistaken_for_the_present_one(opened):
    engine, _ = opened("speech/fusion")
    _, old = step(engine, zero_state(engine), 0)
    _, new = step(engine, old, 1)
    with pytest.raises(ModelError, match="is gone"):
        engine.run({**random_feeds(engine), **old})
    step(engine, new, 2)


def test_two_streams_by_turns_do_not_mix(opened):
    """As with two faces in view: each keeps its state while the engine is busy with the other."""
    engine, plain = opened("speech/fusion")
    states = [(zero_state(engine), zero_state(plain)) for _ in range(2)]
    for turn in range(STEPS):
        which = (turn // 3) % 2
        outputs, state = step(engine, states[which][0], turn)
        expected, expected_state = step(plain, states[which][1], turn)
        states[which] = state, expected_state
        assert largest_difference(outputs, expected) < 5e-3


def test_a_reset_state_is_a_fresh_start(opened):
    engine, _ = opened("speech/audio")
    first, state = step(engine, zero_state(engine), 0)
    for seed in range(5):
        _, state = step(engine, state, seed)
    again, _ = step(engine, zero_state(engine), 0)
    assert np.array_equal(first["log_probs"], again["log_probs"])


def test_rows_that_rest_keep_their_state(opened):
    try:
        engine, plain = opened("speech/audio", batch=4)
    except ModelError as error:
        pytest.skip(str(error))
    state, expected_state = zero_state(engine), zero_state(plain)
    for seed in range(STEPS):
        rows = [row for row in range(4) if (seed >> row) % 2 == 0]
        feeds = random_feeds(engine, seed)
        outputs = engine.run_rows({**feeds, **state}, rows)
        expected = plain.run_rows({**feeds, **expected_state}, rows)
        state, expected_state = next_state(outputs), next_state(expected)
        assert np.abs(outputs["log_probs"][rows] - expected["log_probs"][rows]).max(initial=0) < 5e-3


def test_what_was_taken_of_the_device_is_given_back(opened):
    engine, _ = opened("speech/video")
    engine.close()
    before, _ = call("MemGetInfo")
    for _ in range(5):
        engine, _ = opened("speech/video")
        engine.close()
    after, _ = call("MemGetInfo")
    assert before - after < 32 * 2**20


def test_a_plan_of_another_model_is_refused(opened, tmp_path):
    wanted = Wanted(MODELS["speech/fusion"], "float32", f"sm_{find_capability()}")
    with pytest.raises(ModelError, match="another model's"):
        load_plan(wanted, build(wanted).plan, OnnxRuntimeEngine(MODELS["speech/audio"]))


def test_a_plan_that_is_cut_short_is_refused(opened):
    wanted = Wanted(MODELS["speech/fusion"], "float32", f"sm_{find_capability()}")
    with pytest.raises(ModelError, match="does not load"):
        load_plan(wanted, build(wanted).plan[:-1000], OnnxRuntimeEngine(MODELS["speech/fusion"]))
