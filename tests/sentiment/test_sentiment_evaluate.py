"""``launch.py evaluate --task sentiment``: the shipped experts and their fusion on a few of each set."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA = ROOT / "../shared/data"


@pytest.mark.skipif(not (DATA / "meld").is_dir(), reason="no ../shared/data to measure on")
def test_it_measures_each_expert_and_their_fusion_and_draws_the_confusions(tmp_path):
    command = ["evaluate", "--task", "sentiment", str(DATA), "--clips", "120", "--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, str(ROOT / "launch.py"), *command], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads((tmp_path / "sentiment.json").read_text())
    face, fused = report["face, clean"], report["fused, all clean"]
    assert face["items"] == 120
    assert fused["uar"] > max(face["uar"], report["voice, clean"]["uar"], report["words, clean"]["uar"])
    assert fused["confidence"] > report["fused, voice noise at 5 dB"]["confidence"]
    assert report["SST"]["acc2"] > 0.8
    assert "<svg" in (tmp_path / "confusion.svg").read_text()
    assert "weighted F1" in done.stdout


def test_a_folder_with_none_of_the_sets_is_one_line(tmp_path):
    command = ["evaluate", "--task", "sentiment", str(tmp_path), "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, str(ROOT / "launch.py"), *command], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "give the folder that does" in done.stderr
    assert "Traceback" not in done.stderr
