"""The command that trains all of sentiment, in miniature: four engines with cards within three minutes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engines.engine import open_engine
from engines.golden import TOLERANCE, golden_error, golden_path

ROOT = Path(__file__).parents[2]
DATA = ROOT / "../shared/data"
PARTS = ("face", "voice", "words", "fusion")


@pytest.mark.skipif(not (DATA / "meld").is_dir(), reason="no ../shared/data to train on")
@pytest.mark.timeout(200)
def test_the_whole_recipe_runs_in_miniature_and_leaves_four_engines_with_cards(tmp_path):
    command = [sys.executable, "-m", "engines.sentiment.train", "--smoke", "--work", str(tmp_path)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for part in PARTS:
        path = tmp_path / "weights" / f"{part}.onnx"
        assert golden_error(open_engine(path), golden_path(path)) < TOLERANCE
        assert "## " in path.with_suffix(".md").read_text()
    assert "<svg" in (tmp_path / "pictures" / "missing.svg").read_text()


def test_the_shipped_engines_fit_in_twelve_megabytes():
    folder = ROOT / "engines" / "sentiment" / "weights"
    assert sum((folder / f"{part}.onnx").stat().st_size for part in PARTS) < 12e6


@pytest.mark.parametrize("part", PARTS)
def test_the_shipped_engines_reproduce_their_golden_files(part):
    path = ROOT / "engines" / "sentiment" / "weights" / f"{part}.onnx"
    assert golden_error(open_engine(path), golden_path(path)) < TOLERANCE
