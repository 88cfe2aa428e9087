"""The fusion: any subset, trios by label, missing rates, and the measures it is judged by."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engines.engine import open_engine
from engines.sentiment.emotions import EMOTIONS
from engines.sentiment.export import export
from engines.sentiment.fusion.answers import Answers
from engines.sentiment.fusion.fit import CORES, Recipe, fit
from engines.sentiment.fusion.missing import RATES, alone, curves, missing, subsets
from engines.sentiment.fusion.model import MODALITIES, Fusion
from engines.sentiment.fusion.train import calibrate, examples
from engines.sentiment.fusion.trios import draw, dropped
from engines.sentiment.measures import (
    calibration_error,
    concordance,
    confusion,
    fitted_temperature,
    two_class_accuracy,
    unweighted_average_recall,
    weighted_f1,
)
from nodes.runtime.errors import UserError


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def answers(seed, strength, each=40):
    """An expert that believes in the right emotion by ``strength``, whose embedding says it too."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(7), each)
    logits = rng.normal(size=(len(labels), 7)).astype(np.float32)
    logits[np.arange(len(labels)), labels] += strength
    embedding = np.pad(logits, ((0, 0), (0, 57)))
    return Answers(logits, embedding, np.zeros((len(labels), 2), np.float32), labels)


@pytest.fixture(scope="module")
def learnt():
    return {
        name: [answers(i, 1.0, each=160), answers(i + 10, 1.0, each=160)] for i, name in enumerate(MODALITIES)
    }


@pytest.fixture(scope="module")
def networks(learnt):
    return {kind: fit(kind, learnt, Recipe(steps=300, each=16)) for kind in CORES}


@pytest.fixture(scope="module")
def tested():
    sets = {name: [answers(i + 20, 1.0)] for i, name in enumerate(MODALITIES)}
    return draw(sets, 100, np.random.default_rng(0))


def test_trios_have_one_label_each_and_every_emotion_as_often():
    sets = {name: [answers(i, 50.0, each=3)] for i, name in enumerate(MODALITIES)}
    trios = draw(sets, 5, np.random.default_rng(1))
    assert torch.bincount(trios.labels).tolist() == [5] * 7
    assert (trios.logits.argmax(-1) == trios.labels[:, None]).all()


def test_a_set_is_drawn_from_as_often_as_the_root_of_its_size():
    few, many = answers(0, 1.0, each=10), answers(1, 1.0, each=90)
    few.affect[:] = 1
    sets = {name: [few, many] for name in MODALITIES}
    trios = draw(sets, 800, np.random.default_rng(2))
    assert float(trios.affect.mean()) == pytest.approx(1 / 4, abs=0.03)


def test_trios_of_an_emotion_nobody_shows_are_refused():
    one = answers(0, 1.0)
    happy = one.labels != EMOTIONS.index("happy")
    without = Answers(one.logits[happy], one.embedding[happy], one.affect[happy], one.labels[happy])
    with pytest.raises(UserError, match="happy"):
        draw({name: [without] for name in MODALITIES}, 5, np.random.default_rng(0))


def test_both_fusions_beat_the_best_expert_and_bear_a_missing_one(networks, tested):
    best = max(alone(tested).values())
    for row in subsets(networks, tested):
        for recall in row.fused.values():
            assert recall > row.best - 0.03
            if len(row.names) == 3:
                assert recall > best + 0.05


@pytest.mark.parametrize("kind", CORES)
def test_what_a_missing_modality_holds_changes_nothing(kind):
    torch.manual_seed(2)
    network = Fusion(CORES[kind]()).eval()
    feeds = examples(1)
    assert feeds["present"][0, 0] == 0
    other = {**feeds, "opinions": feeds["opinions"].clone(), "embeddings": feeds["embeddings"].clone()}
    other["opinions"][:, 0], other["embeddings"][:, 0] = 9.0, -9.0
    with torch.no_grad():
        one, two = network(*feeds.values()), network(*other.values())
    assert torch.allclose(one["logits"], two["logits"], atol=1e-5)
    assert one["reliability"][0, 0] == 0
    assert one["reliability"].sum() == pytest.approx(1)


@pytest.mark.parametrize("kind", CORES)
def test_nothing_at_all_is_no_error(kind):
    feeds = {**examples(0), "present": torch.zeros(1, 3)}
    with torch.no_grad():
        outputs = Fusion(CORES[kind]()).eval()(*feeds.values())
    assert all(value.isfinite().all() for value in outputs.values())


def test_rates_of_missing_are_kept_and_somebody_is_always_there():
    rng = np.random.default_rng(0)
    present = missing(np.array([0.9, 0.9, 0.9]), 5000, rng)
    assert (present.sum(1) >= 1).all()
    only = missing(np.array([0.0, 0.3, 0.0]), 5000, rng)
    assert only.mean(0).tolist() == pytest.approx([1, 0.7, 1], abs=0.03)
    every = dropped(7000, torch.Generator().manual_seed(0))
    assert len(every.unique(dim=0)) == 7


def test_the_more_is_missing_the_less_is_recognised(networks, tested):
    for of in curves(networks, tested).values():
        assert len(of["shared"]) == len(RATES)
        assert of["shared"][0] > of["shared"][-1] + 0.1


def test_the_exported_fusion_says_what_torch_says(tmp_path, networks, tested):
    network = networks["intermediate"]
    calibrate(network, tested, 0)
    assert "fusion.onnx" in export(
        network, tmp_path / "fusion.onnx", examples, {}, float(network.temperature)
    )
    engine = open_engine(tmp_path / "fusion.onnx")
    assert float(engine.metadata["temperature"]) == pytest.approx(float(network.temperature), abs=1e-3)


def test_measures_on_cases_one_can_count():
    right, found = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    assert unweighted_average_recall(right, found) == pytest.approx((2 / 3 + 1) / 2)
    assert weighted_f1(right, found) == pytest.approx(0.75 * 0.8 + 0.25 * 2 / 3)
    assert confusion(right, found, 2).tolist() == [[2, 1], [0, 1]]
    wanted, given_ = np.array([-1, 0, 1, 1], np.float32), np.array([-1, -1, 1, -1], np.float32)
    assert two_class_accuracy(wanted, given_, with_neutral=True) == 0.5
    assert two_class_accuracy(wanted, given_, with_neutral=False) == pytest.approx(2 / 3)


@given(st.floats(-3, 3), st.floats(0.1, 4))
def test_concordance_punishes_an_answer_that_is_shifted_or_scaled(shift, scale):
    wanted = np.linspace(-1, 1, 50, dtype=np.float64)
    agreed = concordance(wanted, wanted * scale + shift)
    assert agreed <= 1 + 1e-9
    assert concordance(wanted, wanted) == pytest.approx(1)
    if abs(shift) > 0.1 or abs(scale - 1) > 0.1:
        assert agreed < 1


def test_a_temperature_makes_confidence_believable():
    rng = np.random.default_rng(3)
    labels = rng.integers(7, size=4000)
    logits = rng.normal(size=(4000, 7)).astype(np.float32)
    logits[np.arange(4000), labels] += 1.5
    boasting = 4 * logits
    temperature = fitted_temperature(boasting, labels)
    assert 2 < temperature < 6
    assert calibration_error(boasting, labels, temperature) < calibration_error(boasting, labels) / 2
