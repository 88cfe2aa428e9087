"""Many streams through one engine are as many streams through engines of their own."""

import numpy as np
import pytest

from engines.batch import Batch
from engines.engine import ModelError, OnnxRuntimeEngine, next_state, zero_state
from engines.variant import LARGEST_BATCH, make_variant
from tests.engines.leaky import chunk, write_leaky


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_leaky(tmp_path_factory.mktemp("model") / "leaky.onnx")


def test_streams_that_come_go_and_pause_do_not_mix(model):
    batch = Batch(OnnxRuntimeEngine(model, LARGEST_BATCH))
    alone = OnnxRuntimeEngine(model)
    rng = np.random.default_rng(0)
    rows, states = {}, {}
    for step in range(60):
        for stream in range(20):
            if stream in rows and rng.random() < 0.05:
                batch.leave(rows.pop(stream))
            elif stream not in rows and len(rows) < LARGEST_BATCH and rng.random() < 0.5:
                rows[stream], states[stream] = batch.join(), zero_state(alone)
        active = [stream for stream in rows if rng.random() < 0.7]
        outputs = batch.run({rows[stream]: chunk(stream, step) for stream in active})
        assert outputs.keys() == {rows[stream] for stream in active}
        for stream in active:
            expected = alone.run({**chunk(stream, step), **states[stream]})
            states[stream] = next_state(expected)
            assert np.array_equal(outputs[rows[stream]]["y"], expected["y"])


def test_a_stream_that_starts_anew_leaves_the_others_alone(model):
    batch = Batch(OnnxRuntimeEngine(model, 2))
    one, other = batch.join(), batch.join()
    ones = {"x": np.ones((1, 3), np.float32)}
    batch.run({one: ones, other: ones})
    batch.reset(one)
    outputs = batch.run({one: ones, other: ones})
    assert outputs[one]["y"][0, 0] == 1
    assert outputs[other]["y"][0, 0] == 1.5


def test_one_stream_too_many_is_told_so(model):
    batch = Batch(OnnxRuntimeEngine(model, 2))
    batch.join()
    batch.join()
    with pytest.raises(ModelError, match="all 2 streams"):
        batch.join()


@pytest.mark.parametrize("batch", [0, LARGEST_BATCH + 1])
def test_a_batch_out_of_range_is_refused(model, batch):
    with pytest.raises(ModelError, match="from 1 to 16"):
        make_variant(model, "float32", batch)


def test_a_variant_has_the_batch_in_its_shapes(model, tmp_path):
    (tmp_path / "four.onnx").write_bytes(make_variant(model, "float32", 4))
    assert OnnxRuntimeEngine(tmp_path / "four.onnx").inputs["x"][0] == (4, 3)
