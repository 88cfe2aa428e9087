"""The whole recipe in miniature, on real clips: what it learns, stops, resumes and leaves behind."""

import copy
import re
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from engines.engine import ModelError, open_engine, zero_state
from engines.golden import golden_error, golden_path
from engines.speech.conditions import open_bench
from engines.speech.corpus import write_shard
from engines.speech.crops import write_crops
from engines.speech.lips import crop_clip
from engines.speech.model import Audio, Size
from engines.speech.recipe import SOUND, Recipe
from engines.speech.shards import Shard
from engines.speech.train import train_sound
from engines.speech.vocabulary import TOKENS

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared/data"
pytestmark = pytest.mark.skipif(not (DATA / "grid_s1").is_dir(), reason="no ../shared/data/grid_s1")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Nine clips as corpus and lips: six to train on and three that the checksum keeps for validation."""
    folder = tmp_path_factory.mktemp("prepared")
    names = [path.stem for path in sorted((DATA / "grid_s1").glob("*.mp4"))]
    kept = [name for name in names if zlib.crc32(name.encode()) % 10 == 0]
    taught = [name for name in names if name not in kept][:6]
    clips, lips = folder / "clips", folder / "lips"
    clips.mkdir()
    lips.mkdir()
    for name in taught + kept[:3]:
        for ending in (".mp4", ".align"):
            (clips / (name + ending)).symlink_to(DATA / "grid_s1" / (name + ending))
        crops, _, fps = crop_clip(clips / f"{name}.mp4")
        write_crops(lips / f"{name}.mp4", crops, fps)
    corpus = folder / "corpus"
    corpus.mkdir()
    assert not write_shard(Shard("grid", 0, 9, source=str(clips)), corpus, 0)
    return folder


def train(prepared, work, *options):
    command = [sys.executable, "-m", "engines.speech.train", "--smoke", "--corpus", prepared / "corpus"]
    command += ["--lips", prepared / "lips", "--work", work, "--data", DATA, *options]
    return subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, timeout=170)


def losses(text, stage):
    return [float(x) for x in re.findall(rf"{stage} step \d+ after \d+ s: ctc ([\d.]+)", text)]


def test_the_recipe_learns_and_leaves_engines_that_reproduce_themselves(prepared, tmp_path):
    result = train(
        prepared,
        tmp_path / "work",
        "--out",
        tmp_path / "weights",
        "--steps",
        "sentences=20,words=6,audio=6,video=8,fusion=6",
    )
    assert result.returncode == 0, result.stderr[-2000:]
    sentences = losses(result.stdout, "sentences")
    assert sentences[-1] < 0.5 * sentences[0]
    for later in ("words", "audio"):
        first = losses(result.stdout, later)[0]
        assert first < 0.5 * sentences[0], f"{later} does not begin with what the stage before learnt"
    video = losses(result.stdout, "video")
    assert video[-1] < video[0]
    for name in ("audio", "video", "fusion"):
        path = tmp_path / "weights" / f"{name}.onnx"
        assert golden_error(open_engine(path), golden_path(path)) < 2e-5
        assert open_engine(path).metadata["name"] == name
        card = (tmp_path / "weights" / f"{name}.md").read_text()
        assert "CC BY 4.0" in card
        assert "Word error rate in percent" in card


def test_a_stopped_training_goes_on_as_if_it_had_not_stopped(prepared, tmp_path):
    options = ("--stages", "sentences", "--steps", "sentences=4")
    stopped = train(prepared, tmp_path / "halves", *options, "--seconds", "0")
    assert stopped.returncode == 3
    assert "run again to go on" in stopped.stdout
    assert not (tmp_path / "halves/sentences.weights.pt").exists()
    resumed = train(prepared, tmp_path / "halves", *options)
    assert resumed.returncode == 0, resumed.stderr[-2000:]
    assert "sentences step 0 " not in resumed.stdout
    whole = train(prepared, tmp_path / "whole", *options)
    assert whole.returncode == 0, whole.stderr[-2000:]
    halves, once = (
        torch.load(tmp_path / name / "sentences.weights.pt", weights_only=True)
        for name in ("halves", "whole")
    )
    for name, weight in once.items():
        torch.testing.assert_close(halves[name], weight, atol=1e-6, rtol=1e-4)


def test_a_stage_that_goes_half_the_way_ends_between_where_it_began_and_what_it_learnt(prepared, tmp_path):
    bench = open_bench(prepared / "corpus", [], DATA, [], 1, torch.device("cpu"))
    began = Audio(Size(tokens=len(TOKENS)))
    recipe = Recipe(steps=1, batch=2, frames=100, peak_rate=1e-3, warm_up=1, average=0.0, blend=0.5)
    ended = train_sound("audio", bench, recipe, SOUND["audio"], tmp_path, copy.deepcopy(began), 1e9)
    learnt = torch.load(tmp_path / "audio.pt", weights_only=True)["model"]
    before, after = began.state_dict(), ended.state_dict()
    assert any(not torch.equal(before[key], weight) for key, weight in learnt.items())
    for key, weight in learnt.items():
        torch.testing.assert_close(after[key], (before[key] + weight) / 2)


def test_without_a_corpus_it_says_how_to_make_one(prepared, tmp_path):
    (prepared / "corpus-not-made").mkdir()
    command = [sys.executable, "-m", "engines.speech.train", "--corpus", prepared / "corpus-not-made"]
    command += ["--lips", prepared / "lips", "--work", tmp_path / "work"]
    result = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert "python -m engines.speech.corpus" in result.stderr


@pytest.mark.parametrize("name", ["audio", "video", "fusion"])
def test_shipped_engines_reproduce_their_golden_files(name):
    path = ROOT / f"engines/speech/weights/{name}.onnx"
    assert golden_error(open_engine(path), golden_path(path)) < 1e-4
    assert path.stat().st_size < 7e6


def test_shipped_engines_refuse_a_chunk_of_another_shape():
    engine = open_engine(ROOT / "engines/speech/weights/audio.onnx")
    for features in (np.zeros((1, 15, 80), np.float32), np.zeros((1, 16, 80), np.float64)):
        with pytest.raises(ModelError, match="features"):
            engine.run({"features": features, **zero_state(engine)})
