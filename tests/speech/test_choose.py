"""Of several trainings the one that reads strangers best is taken, and all of them are told."""

import json

import pytest
import torch

from engines.speech.choose import main
from nodes.runtime.errors import UserError


def trained(work, seed, scores):
    work.mkdir()
    torch.save({"w": torch.tensor([float(seed)])}, work / "audio.weights.pt")
    step = min(scores, key=scores.get)
    (work / "audio.chosen.json").write_text(json.dumps({"seed": seed, "scores": scores, "step": step}))
    return work


def test_the_best_seed_is_copied_with_the_table_of_all(tmp_path, capsys):
    first = trained(tmp_path / "one", 1, {"600": 4.0, "1000": 3.5})
    second = trained(tmp_path / "two", 2, {"600": 3.0, "1000": 3.2})
    main("audio", [first, second], tmp_path / "best")
    assert torch.load(tmp_path / "best/audio.weights.pt", weights_only=True)["w"].item() == 2.0
    told = capsys.readouterr().out
    assert "| 1 | 1000 | 3.50 | 3.50 |" in told
    assert "| **2** | 600 | 3.00 | 3.20 |" in told
    assert (tmp_path / "best/audio.seeds.md").read_text() == told


def test_a_training_that_did_not_end_is_named(tmp_path):
    first = trained(tmp_path / "one", 1, {"600": 4.0})
    with pytest.raises(UserError, match=r"two/audio\.chosen\.json"):
        main("audio", [first, tmp_path / "two"], tmp_path / "best")
