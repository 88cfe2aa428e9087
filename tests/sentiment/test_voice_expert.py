"""The voice expert: the same live as in training, deaf to level, and a recipe that runs."""

from pathlib import Path

import numpy as np
import pytest
import torch

from engines.engine import next_state, open_engine, zero_state
from engines.sentiment.emotions import EMOTIONS
from engines.sentiment.voice.classes import CLASSES, to_emotions
from engines.sentiment.voice.export import export_voice
from engines.sentiment.voice.measure import Answers, figures, interval
from engines.sentiment.voice.model import CHUNK, VoiceExpert
from engines.sentiment.voice.recordings import FOLDS, fold_actors, load_recordings
from engines.speech.features import BANDS, LogMel
from nodes.runtime.errors import UserError

DATA = Path(__file__).parents[2] / "../shared/data"
needs_ravdess = pytest.mark.skipif(
    not (DATA / "ravdess").is_dir(), reason="no ../shared/data/ravdess, ../shared/data/noise"
)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(3)
    made = VoiceExpert()
    # Some training steps' worth of statistics, so that the batch norms are not the identity.
    for _ in range(3):
        made(0.5 * torch.randn(4, 4 * CHUNK, BANDS) - 0.5, made.initial(4, torch.device("cpu")))
    return made.eval()


def speech(seconds=2.4, seed=0, gain=1.0):
    """Log-mel of a buzz whose pitch and loudness wander, as a voice's do: float32 [1, T, 80]."""
    rng = np.random.default_rng(seed)
    n = round(seconds * 16_000)
    pitch = 140 + 50 * np.sin(np.arange(n) / 16_000 * 2 * np.pi * rng.uniform(0.5, 2))
    loud = 0.3 + 0.3 * np.sin(np.arange(n) / 16_000 * 2 * np.pi * 3) ** 2
    sound = loud * np.sign(np.sin(2 * np.pi * np.cumsum(pitch) / 16_000)) * 0.2 + rng.normal(0, 0.002, n)
    return torch.from_numpy(LogMel().push((gain * sound).astype(np.float32)))[None]


def test_chunk_by_chunk_it_says_what_it_says_of_the_whole(network):
    features = speech()
    with torch.no_grad():
        whole, end = network(features, network.initial(1, features.device))
        state, found = network.initial(1, features.device), []
        for chunk in features.split(CHUNK, dim=1):
            outputs, state = network(chunk, state)
            found.append(outputs)
    assert len(found) == 15
    for name, value in whole.items():
        joined = torch.cat([outputs[name] for outputs in found], 1)
        torch.testing.assert_close(joined, value, atol=2e-5, rtol=1e-4)
    for name, value in end.items():
        torch.testing.assert_close(state[name], value, atol=2e-5, rtol=1e-4)


def test_what_comes_later_changes_nothing_said_before(network):
    features = speech()
    later = features.clone()
    later[:, 7 * CHUNK :] = speech(seed=9)[:, 7 * CHUNK :]
    with torch.no_grad():
        first, _ = network(features, network.initial(1, features.device))
        second, _ = network(later, network.initial(1, features.device))
    torch.testing.assert_close(first["logits"][:, :7], second["logits"][:, :7])
    assert (first["logits"][:, -1] - second["logits"][:, -1]).abs().max() > 1e-4


def test_a_voice_ten_decibels_quieter_is_the_same_voice(network):
    with torch.no_grad():
        loud, _ = network(speech(), network.initial(1, torch.device("cpu")))
        quiet, _ = network(speech(gain=0.3), network.initial(1, torch.device("cpu")))
        other, _ = network(speech(seed=9), network.initial(1, torch.device("cpu")))
    change = (loud["logits"] - quiet["logits"])[:, -1].abs().max()
    assert change < 0.3 * (loud["logits"] - other["logits"])[:, -1].abs().max()


def test_what_was_said_long_ago_is_forgotten(network):
    silence = torch.full((1, 40 * 100 // CHUNK * CHUNK, BANDS), -1.8)
    with torch.no_grad():
        _, spoken = network(speech(), network.initial(1, silence.device))
        now, _ = network(speech(seed=5), network(silence, spoken)[1])
        fresh, _ = network(speech(seed=5), network(silence, network.initial(1, silence.device))[1])
    torch.testing.assert_close(now["logits"][:, -1], fresh["logits"][:, -1], atol=0.02, rtol=0)


def test_the_engine_computes_what_torch_does(network, tmp_path):
    export_voice(network, tmp_path / "voice.onnx")
    engine = open_engine(tmp_path / "voice.onnx")
    arrays, features = zero_state(engine), speech()
    with torch.no_grad():
        whole, _ = network(features, network.initial(1, features.device))
    for k, chunk in enumerate(features.split(CHUNK, dim=1)):
        outputs = engine.run({"features": chunk.numpy(), **arrays})
        for name, value in whole.items():
            np.testing.assert_allclose(outputs[name], value[:, k].numpy(), atol=2e-5)
        arrays = next_state(outputs)


def test_calm_counts_as_neutral_and_takes_nothing_from_the_others():
    logits8 = torch.randn(5, 8)
    eight, seven = logits8.softmax(-1), to_emotions(logits8).softmax(-1)
    both = eight[:, CLASSES.index("neutral")] + eight[:, CLASSES.index("calm")]
    torch.testing.assert_close(seven[:, EMOTIONS.index("neutral")], both)
    torch.testing.assert_close(seven[:, EMOTIONS.index("happy")], eight[:, CLASSES.index("happy")])


def test_folds_share_no_actor_and_have_both_sexes():
    actors = np.repeat(np.arange(1, 21), 3)
    folds = [fold_actors(actors, fold) for fold in range(FOLDS)]
    assert sorted(actor for fold in folds for actor in fold) == list(range(1, 21))
    assert all({actor % 2 for actor in fold} == {0, 1} for fold in folds)


def test_figures_are_those_of_the_answers():
    classes = np.arange(8).repeat(4)
    logits = np.full((32, 8), 0.0, np.float32)
    logits[np.arange(32), np.where(np.arange(32) % 4 == 0, (classes + 1) % 8, classes)] = 5
    given = Answers(logits, classes)
    assert figures(given).uar == pytest.approx(0.75)
    low, high = interval(given, np.arange(32) % 4)
    assert low < 0.75 < high


@needs_ravdess
def test_a_folder_without_recordings_is_named(tmp_path):
    with pytest.raises(UserError, match="ravdess"):
        load_recordings(tmp_path)
