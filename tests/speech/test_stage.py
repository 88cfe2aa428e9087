"""One stage of training: it goes on after a stop, and keeps the best of what it tried."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from engines.speech.ahead import ahead
from engines.speech.recipe import Recipe
from engines.speech.stage import Stopped, run_stage
from nodes.runtime.errors import UserError

RECIPE = Recipe(steps=10, batch=1, frames=1, peak_rate=0.1, warm_up=1, average=0.0)


def run(work, seconds=1e9, scores=()):
    """Learns to answer with 1; ``scores`` are what its candidates are said to be worth."""
    work.mkdir(exist_ok=True)
    torch.manual_seed(0)
    network, given = nn.Linear(1, 1), iter(scores)

    def step(number):
        loss = (network(torch.ones(1, 1)) - 1).square().mean()
        return loss, {"loss": loss.detach()}

    def score(averaged):
        return np.float64(next(given))

    return run_stage("tiny", network, RECIPE, work, torch.device("cpu"), step, str, seconds, score)


def test_a_stage_that_was_scored_goes_on_after_a_stop(tmp_path):
    for done in range(1, 10):
        with pytest.raises(Stopped, match=rf"stopped at step {done} "):
            run(tmp_path, seconds=0, scores=[5.0 - done / 10])
    run(tmp_path, scores=[9.0])
    told = json.loads((tmp_path / "tiny.chosen.json").read_text())
    assert told["scores"] == {"6": 4.4, "7": 4.3, "8": 4.2, "9": 4.1, "10": 9.0}
    assert told["step"] == 9


def test_a_checkpoint_of_another_version_is_one_line(tmp_path):
    with pytest.raises(Stopped):
        run(tmp_path, seconds=0)
    saved = torch.load(tmp_path / "tiny.pt", weights_only=True)
    del saved["best"]
    torch.save(saved, tmp_path / "tiny.pt")
    with pytest.raises(UserError, match=r"tiny\.pt: has no best, another version .* delete it"):
        run(tmp_path)


def test_the_best_of_the_candidates_comes_out_and_not_the_last(tmp_path):
    last = run(tmp_path / "last", scores=[3, 3, 3, 3, 1])
    best = run(tmp_path / "best", scores=[1, 3, 3, 3, 3])
    assert not torch.equal(last.weight, best.weight)
    assert torch.equal(run(tmp_path / "best").weight, best.weight), "finished: nothing is learnt anew"


def test_batches_made_ahead_are_the_same_in_any_order():
    made = []

    def make(step):
        made.append(step)
        return step * step

    batch = ahead(make)
    assert [batch(step) for step in (0, 1, 2, 7, 8, 3)] == [0, 1, 4, 49, 64, 9]
    assert made.count(1) == made.count(8) == 1
