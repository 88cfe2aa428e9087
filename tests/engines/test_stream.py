"""The shipped speech engines step by step: state is all they remember, and only the right chunk fits."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.engine import ModelError, next_state, open_engine, zero_state
from engines.stream import Stream

WEIGHTS = Path(__file__).parents[2] / "engines" / "speech" / "weights"
NAMES = ["audio", "video", "fusion"]


@pytest.fixture(scope="module")
def engines():
    return {name: open_engine(WEIGHTS / f"{name}.onnx") for name in NAMES}


def chunks(engine, count, seed=0):
    """What an engine is given, state left out: random numbers of the right shapes and dtypes."""
    rng = np.random.default_rng(seed)
    inputs = {name: spec for name, spec in engine.inputs.items() if not name.startswith("state_")}
    return [
        {
            name: rng.integers(0, 256, shape, dtype).astype(dtype)
            if dtype == np.uint8
            else rng.random(shape).astype(dtype)
            for name, (shape, dtype) in inputs.items()
        }
        for _ in range(count)
    ]


def stream(engine, feeds, state):
    """The outputs of each step, and the state after them."""
    told = []
    for feed in feeds:
        outputs = engine.run({**feed, **state})
        state = next_state(outputs)
        told.append({name: value for name, value in outputs.items() if not name.startswith("next_")})
    return told, state


def same(one, other):
    return all(np.array_equal(a[name], b[name]) for a, b in zip(one, other, strict=True) for name in a)


@pytest.mark.parametrize("name", NAMES)
def test_state_put_away_in_a_file_goes_on_bit_for_bit(engines, name, tmp_path):
    engine = engines[name]
    feeds = chunks(engine, 6)
    whole, _ = stream(engine, feeds, zero_state(engine))
    _, state = stream(engine, feeds[:3], zero_state(engine))
    assert 1 <= len(state) <= 4
    np.savez(tmp_path / "state.npz", **state)
    with np.load(tmp_path / "state.npz") as saved:
        later, _ = stream(engine, feeds[3:], dict(saved))
    assert same(whole[3:], later)
    forgetful, _ = stream(engine, feeds[3:], zero_state(engine))
    assert not same(whole[3:], forgetful), "what came before makes no difference"


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_chunk_of_any_other_shape_dtype_or_name_is_refused_in_one_line(engines, name, data):
    engine = engines[name]
    feed = {**chunks(engine, 1)[0], **zero_state(engine)}
    wrong = data.draw(st.sampled_from(sorted(feed)))
    shape, dtype = engine.inputs[wrong]
    how = data.draw(st.sampled_from(["shape", "rank", "dtype", "missing", "another"]))
    if how == "shape":
        axis = data.draw(st.integers(0, len(shape) - 1))
        other = data.draw(st.integers(0, 2 * shape[axis] + 1).filter(lambda n: n != shape[axis]))
        feed[wrong] = np.zeros([*shape[:axis], other, *shape[axis + 1 :]], dtype)
    elif how == "rank":
        feed[wrong] = feed[wrong][0]
    elif how == "dtype":
        feed[wrong] = feed[wrong].astype(data.draw(st.sampled_from([np.float64, np.int32, np.bool_])))
    elif how == "missing":
        del feed[wrong]
    else:
        feed["another"] = feed[wrong]
    with pytest.raises(ModelError) as refused:
        engine.run(feed)
    message = str(refused.value)
    assert f"{name}.onnx: " in message
    assert wrong in message
    assert "\n" not in message


def test_a_fork_starts_anew_and_neither_disturbs_the_other(engines):
    engine = engines["video"]
    inputs = {name: spec[0] for name, spec in engine.inputs.items() if not name.startswith("state_")}
    first = Stream(WEIGHTS / "video.onnx", inputs, {"mouths"})
    feeds, others = chunks(engine, 4, seed=1), chunks(engine, 4, seed=2)
    expected = [stream(engine, feed, zero_state(engine))[0] for feed in (feeds, others)]
    first.run(others[0])
    second = first.fork()
    first.reset()
    pairs = [(first.run(a), second.run(b)) for a, b in zip(feeds, others, strict=True)]
    for (one, other), a, b in zip(pairs, *expected, strict=True):
        assert np.array_equal(one["log_probs"], a["log_probs"])
        assert np.array_equal(other["log_probs"], b["log_probs"])
