"""Memory, copies and graphs of a real device, and an engine's state on it: needs a GPU, its driver and
cuda-python, and no TensorRT."""

import threading
from functools import partial

import numpy as np
import pytest

from engines.batch import Batch
from engines.engine import ModelError, OnnxRuntimeEngine, next_state, zero_state
from engines.gpu.device import Buffer, DeviceError, Stream, call, find_capability
from engines.gpu.engine import TensorRtEngine
from engines.variant import LARGEST_BATCH
from nodes.runtime.abreast import Abreast
from tests.engines.leaky import chunk, write_leaky
from tests.gpu.kernel import LIBRARY

pytestmark = pytest.mark.skipif(
    find_capability() is None, reason="needs an NVIDIA GPU, its driver and cuda-python"
)
STEPS = 50


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_leaky(tmp_path_factory.mktemp("model") / "leaky.onnx")


@pytest.fixture
def opened(model):
    """An engine on the device and the same on the processor, for so many streams."""
    engines = []

    def open_one(batch=1):
        plain = OnnxRuntimeEngine(model, batch)
        engines.append(TensorRtEngine(LIBRARY, str(batch).encode(), plain, model))
        return engines[-1], plain

    yield open_one
    for engine in engines:
        engine.close()


@pytest.fixture
def stream():
    stream = Stream()
    yield stream
    stream.free()


def numbers(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_what_goes_to_the_device_comes_back(stream):
    one, other = Buffer((5, 7), np.dtype(np.float32)), Buffer((5, 7), np.dtype(np.float32))
    one.array[...] = numbers(5, 7)
    one.upload(stream)
    other.copy_from(one, stream)
    other.download(stream)
    stream.wait()
    assert np.array_equal(other.array, numbers(5, 7))
    one.free()
    other.free()


def test_one_row_is_copied_and_the_others_stay(stream):
    one, other = Buffer((5, 7), np.dtype(np.float32)), Buffer((5, 7), np.dtype(np.float32))
    one.array[...] = numbers(5, 7)
    one.upload(stream)
    other.upload(stream)
    other.copy_from(one, stream, row=3)
    other.download(stream)
    stream.wait()
    expected = np.zeros((5, 7), np.float32)
    expected[3] = numbers(5, 7)[3]
    assert np.array_equal(other.array, expected)
    one.free()
    other.free()


def test_a_graph_does_again_what_was_recorded(stream):
    buffer = Buffer((64,), np.dtype(np.float32))
    back = Buffer((64,), np.dtype(np.float32))

    def there_and_back():
        buffer.upload(stream)
        back.copy_from(buffer, stream)
        back.download(stream)

    graph = stream.record(there_and_back)
    stream.wait()
    assert not back.array.any()  # recorded, not done
    for i in range(3):
        buffer.array[...] = i + 1
        graph.launch()
        stream.wait()
        assert (back.array == i + 1).all()
    graph.free()
    buffer.free()
    back.free()


def test_more_memory_than_there_is_is_refused_in_a_line_and_nothing_is_lost(stream):
    with pytest.raises(DeviceError, match="cudaMalloc failed") as refused:
        Buffer((2**50,), np.dtype(np.uint8))
    assert "\n" not in str(refused.value)
    test_what_goes_to_the_device_comes_back(stream)


def test_many_steps_are_those_of_the_processor(opened):
    engine, plain = opened()
    state, expected_state = zero_state(engine), zero_state(plain)
    for step in range(STEPS):
        outputs = engine.run({**chunk(0, step), **state})
        expected = plain.run({**chunk(0, step), **expected_state})
        state, expected_state = next_state(outputs), next_state(expected)
        assert np.allclose(outputs["y"], expected["y"], atol=1e-6)
    assert np.allclose(np.asarray(state["state_sum"]), expected_state["state_sum"], atol=1e-6)


def test_two_streams_by_turns_do_not_mix(opened):
    engine, plain = opened()
    states = [(zero_state(engine), zero_state(plain)) for _ in range(2)]
    for step in range(STEPS):
        which = (step // 3) % 2
        outputs = engine.run({**chunk(which, step), **states[which][0]})
        expected = plain.run({**chunk(which, step), **states[which][1]})
        states[which] = next_state(outputs), next_state(expected)
        assert np.allclose(outputs["y"], expected["y"], atol=1e-6)


def test_a_state_goes_over_from_the_processor_and_back(opened):
    engine, plain = opened()
    state, expected_state = zero_state(plain), zero_state(plain)
    for step in range(30):
        serving = engine if 10 <= step < 20 else plain
        if serving is plain:
            state = {name: np.asarray(value) for name, value in state.items()}
        outputs = serving.run({**chunk(0, step), **state})
        expected = plain.run({**chunk(0, step), **expected_state})
        state, expected_state = next_state(outputs), next_state(expected)
        assert np.allclose(outputs["y"], expected["y"], atol=1e-6)


def test_a_state_of_long_ago_is_refused(opened):
    engine, _ = opened()
    old = next_state(engine.run({**chunk(0, 0), **zero_state(engine)}))
    new = next_state(engine.run({**chunk(0, 1), **old}))
    with pytest.raises(ModelError, match="is gone"):
        engine.run({**chunk(0, 2), **old})
    engine.run({**chunk(0, 2), **new})


@pytest.mark.parametrize("size", [3, LARGEST_BATCH])
def test_streams_of_a_batch_that_come_go_and_pause_do_not_mix(opened, size):
    """Also where there are more of them than rows: eight."""
    engine, _ = opened(size)
    _, alone = opened()
    batch, abreast = Batch(engine, alone), Abreast("test", 8)
    rng = np.random.default_rng(0)
    states, expected_states = {}, {}
    for step in range(STEPS):
        for who in range(8):
            if rng.random() < 0.1:  # it starts anew, or for the first time
                states[who], expected_states[who] = zero_state(batch), zero_state(alone)
        active = [who for who in states if rng.random() < 0.7]
        given = abreast.run([partial(batch.run, {**chunk(who, step), **states[who]}) for who in active])
        for who, outputs in zip(active, given, strict=True):
            expected = alone.run({**chunk(who, step), **expected_states[who]})
            states[who], expected_states[who] = next_state(outputs), next_state(expected)
            assert np.allclose(outputs["y"], expected["y"], atol=1e-6)
    abreast.close()


def test_an_engine_is_made_and_closed_while_another_computes(opened):
    """As when a plan takes over in a pipeline that hears meanwhile."""
    engine, plain = opened()
    failed = []

    def make():
        try:
            for _ in range(20):
                opened()[0].run({**chunk(0, 0), **zero_state(plain)})
        except Exception as error:
            failed.append(error)

    maker = threading.Thread(target=make)
    maker.start()
    state, expected_state = zero_state(engine), zero_state(plain)
    step = 0
    while maker.is_alive() or step < STEPS:
        outputs = engine.run({**chunk(0, step), **state})
        expected = plain.run({**chunk(0, step), **expected_state})
        state, expected_state = next_state(outputs), next_state(expected)
        assert np.allclose(outputs["y"], expected["y"], atol=1e-6)
        step += 1
    maker.join(30)
    assert not failed


def test_what_was_taken_is_given_back(opened):
    opened(LARGEST_BATCH)[0].close()
    before, _ = call("MemGetInfo")
    for _ in range(50):
        opened(LARGEST_BATCH)[0].close()
    after, _ = call("MemGetInfo")
    assert before - after < 8 * 2**20
