"""Many streams through one engine are as many streams through engines of their own."""

import gc
from functools import partial
from itertools import islice

import numpy as np
import pytest
from msgspec.structs import replace

from engines.batch import Batch, share
from engines.build import CPU, Wanted, shipped_models, widest
from engines.engine import ModelError, OnnxRuntimeEngine, next_state, open_engine, zero_state
from engines.serve import Served
from engines.speech.evaluation.hearing import Hearing
from engines.speech.evaluation.replay import play
from engines.speech.rehearsal import TALKER, rehearsal
from engines.variant import LARGEST_BATCH, make_variant
from nodes.runtime.abreast import Abreast
from nodes.runtime.messages import Audio
from tests.engines.leaky import chunk, write_leaky

AUDIO = shipped_models()["speech/audio"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_leaky(tmp_path_factory.mktemp("model") / "leaky.onnx")


@pytest.fixture
def abreast(monkeypatch):
    """Threads for as many streams as a batch has, each of which waits for the others that come."""
    monkeypatch.setattr("nodes.runtime.abreast.WAIT_S", 60.0)
    made = Abreast("test", LARGEST_BATCH)
    yield made
    made.close()


class Counting:
    """An engine that notes for how many rows each of its steps was."""

    def __init__(self, engine):
        self.engine, self.rows = engine, []
        self.backend, self.path, self.metadata = engine.backend, engine.path, engine.metadata
        self.inputs, self.outputs = engine.inputs, engine.outputs

    def run(self, feeds):
        self.rows.append(len(next(iter(feeds.values()))))
        return self.engine.run(feeds)

    def run_rows(self, feeds, rows):
        self.rows.append(len(rows))
        return self.engine.run_rows(feeds, rows)


def stepping(engine, stream, state, step):
    return partial(engine.run, {**chunk(stream, step), **state})


@pytest.mark.parametrize("size", [3, LARGEST_BATCH])
def test_streams_that_come_go_and_pause_do_not_mix(model, abreast, size):
    """Also where they are more than there are rows: eight, of which each keeps its state in between."""
    alone = OnnxRuntimeEngine(model)
    batch = Batch(OnnxRuntimeEngine(model, size), alone)
    rng = np.random.default_rng(0)
    states, expected_states = {}, {}
    for step in range(60):
        for stream in range(8):
            if rng.random() < 0.1:  # it starts anew, or for the first time
                states[stream], expected_states[stream] = zero_state(batch), zero_state(alone)
        active = [stream for stream in states if rng.random() < 0.7]
        given = abreast.run([stepping(batch, stream, states[stream], step) for stream in active])
        for stream, outputs in zip(active, given, strict=True):
            expected = alone.run({**chunk(stream, step), **expected_states[stream]})
            states[stream], expected_states[stream] = next_state(outputs), next_state(expected)
            assert np.array_equal(outputs["y"], expected["y"])


def test_those_that_step_at_once_are_one_step_of_the_engine(model, abreast):
    engine = Counting(OnnxRuntimeEngine(model, 4))
    batch = Batch(engine, OnnxRuntimeEngine(model))
    states = [zero_state(batch) for _ in range(3)]
    abreast.run([stepping(batch, i, states[i], 0) for i in range(3)])
    batch.run({**chunk(0, 1), **zero_state(batch)})
    assert engine.rows == [3, 1]


def test_a_row_is_free_again_when_nobody_keeps_its_state(model):
    batch = Batch(OnnxRuntimeEngine(model, 2), OnnxRuntimeEngine(model))
    kept = next_state(batch.run({**chunk(0, 0), **zero_state(batch)}))
    before = np.array(kept["state_sum"])
    for stream in range(1, 20):  # of each nothing is kept, so they follow each other in the other row
        batch.run({**chunk(stream, 0), **zero_state(batch)})
        gc.collect()
        assert kept["state_sum"].seat.row is not None
    assert np.array_equal(np.asarray(kept["state_sum"]), before)


def test_a_state_goes_over_from_another_engine_and_back(model):
    alone = OnnxRuntimeEngine(model)
    batch = Batch(OnnxRuntimeEngine(model, 4), alone)
    state, expected_state = zero_state(alone), zero_state(alone)
    for step in range(30):
        serving = batch if 10 <= step < 20 else alone
        if serving is alone:
            state = {name: np.asarray(value) for name, value in state.items()}
        outputs = serving.run({**chunk(0, step), **state})
        expected = alone.run({**chunk(0, step), **expected_state})
        state, expected_state = next_state(outputs), next_state(expected)
        assert np.array_equal(outputs["y"], expected["y"])


def test_a_state_of_long_ago_is_refused_and_the_stream_goes_on(model):
    batch = Batch(OnnxRuntimeEngine(model, 2), OnnxRuntimeEngine(model))
    old = next_state(batch.run({**chunk(0, 0), **zero_state(batch)}))
    new = next_state(batch.run({**chunk(0, 1), **old}))
    with pytest.raises(ModelError, match="is gone"):
        batch.run({**chunk(0, 2), **old})
    batch.run({**chunk(0, 2), **new})


def test_what_does_not_fit_one_stream_is_refused(model):
    batch = Batch(OnnxRuntimeEngine(model, 2), OnnxRuntimeEngine(model))
    with pytest.raises(ModelError, match="was given float32"):
        batch.run({"x": np.zeros((2, 3), np.float32), **zero_state(batch)})


def test_streams_of_one_process_share_the_engine_of_a_plan(model, tmp_path):
    opened = []

    def make():
        opened.append(OnnxRuntimeEngine(model, 2))
        return opened[-1]

    single = OnnxRuntimeEngine(model)
    first = share(tmp_path / "a.plan", make, single)
    assert share(tmp_path / "a.plan", make, single) is first
    assert share(tmp_path / "b.plan", make, single) is not first
    assert len(opened) == 2


def test_a_model_made_for_one_stream_is_not_batched(model):
    assert widest(model, 1) == 1
    assert widest(model, 5) == 5
    assert widest(model, 40) == LARGEST_BATCH
    assert widest(shipped_models()["face/landmarks"], 5) == 1


@pytest.fixture
def speech_for_two():
    """The folder of the shipped speech engines, where they take two streams."""
    if widest(AUDIO, 2) == 1:
        pytest.skip("the shipped speech engines were exported for one stream")
    return AUDIO.parent


def test_two_microphones_on_one_plan_go_over_to_it_in_mid_stream(
    tmp_path, monkeypatch, abreast, speech_for_two
):
    monkeypatch.setenv("HEARSEE_PLANS", str(tmp_path))
    plain = open_engine(AUDIO)
    speech = list(islice(rehearsal(plain, speech_for_two), 120))
    served = [Served(open_engine(AUDIO), Wanted(AUDIO, "float32", CPU, 2)) for _ in range(2)]
    states, alone = [zero_state(plain)] * 2, [zero_state(plain)] * 2
    for i in range(60):
        if i == 10:
            for one in served:
                one.wait(120)
        feeds = [{**speech[i + 60 * k], **states[k]} for k in range(2)]  # they do not say the same
        given = abreast.run([partial(one.run, feed) for one, feed in zip(served, feeds, strict=True)])
        expected = [plain.run({**speech[i + 60 * k], **alone[k]}) for k in range(2)]
        states, alone = [next_state(each) for each in given], [next_state(each) for each in expected]
        for outputs, wanted in zip(given, expected, strict=True):
            assert np.allclose(outputs["log_probs"], wanted["log_probs"], atol=1e-3)
            assert (outputs["log_probs"].argmax(-1) == wanted["log_probs"].argmax(-1)).all()
    assert [one.report for one in served] == ["onnxruntime float32, up to 2 streams at once"] * 2
    assert served[0]._now is served[1]._now


def test_two_talkers_on_shared_engines_are_understood_as_each_alone(tmp_path, abreast, speech_for_two):
    """By sound and lips; the second stands in noise."""
    talker, rng = play(TALKER), np.random.default_rng(0)

    def in_noise(message):
        noise = 0.02 * rng.standard_normal(len(message.samples)).astype(np.float32)
        return replace(message, samples=message.samples + noise)

    noisy = [in_noise(message) if isinstance(message, Audio) else message for message in talker.sound]
    opened = {}

    def open_shared(path, require=None):
        def make():
            opened[path.stem] = Counting(OnnxRuntimeEngine(path, 2))
            return opened[path.stem]

        return share(tmp_path / path.stem, make, open_engine(path, require))

    def words(sound, opener):
        return Hearing(opener=opener).words(sound, talker.faces)

    apart = [words(sound, open_engine) for sound in (talker.sound, noisy)]
    kept = [open_shared(speech_for_two / f"{name}.onnx") for name in ("audio", "video", "fusion")]
    together = abreast.run([partial(words, sound, open_shared) for sound in (talker.sound, noisy)])
    for one, other in zip(apart, together, strict=True):
        assert [(word.text, word.heard_by) for word in other] == [(word.text, word.heard_by) for word in one]
        assert len(one) > 3
    assert len(kept) == len(opened)
    assert all(2 in engine.rows for engine in opened.values())


@pytest.mark.parametrize("batch", [0, LARGEST_BATCH + 1])
def test_a_batch_out_of_range_is_refused(model, batch):
    with pytest.raises(ModelError, match="from 1 to 16"):
        make_variant(model, "float32", batch)


def test_a_variant_has_the_batch_in_its_shapes(model, tmp_path):
    (tmp_path / "four.onnx").write_bytes(make_variant(model, "float32", 4))
    assert OnnxRuntimeEngine(tmp_path / "four.onnx").inputs["x"][0] == (4, 3)
