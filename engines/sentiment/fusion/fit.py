"""Teaches a fusion on trios of the experts' answers, each modality missing as often as not."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from engines.sentiment.fusion.answers import Learnt
from engines.sentiment.fusion.model import Fusion, Intermediate, Late
from engines.sentiment.fusion.trios import Trios, draw, dropped

CORES = {"late": Late, "intermediate": Intermediate}
FAINTEST = 0.3  # of a modality that is there, in half of the trios


@dataclass(frozen=True)
class Recipe:
    """each: trios of every emotion in a step."""

    steps: int = 1500
    each: int = 32
    rate: float = 2e-3
    decay: float = 0.05
    seed: int = 9


FULL = Recipe()
SMOKE = Recipe(steps=30, each=8)


def fit(kind: str, learnt: Learnt, recipe: Recipe) -> Fusion:
    """The fusion of CORES[kind]; its temperature is still 1."""
    torch.manual_seed(recipe.seed)
    generator = torch.Generator().manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    network = Fusion(CORES[kind]())
    optimiser = torch.optim.AdamW(network.parameters(), recipe.rate, weight_decay=recipe.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, recipe.steps, pct_start=0.1)
    network.train()
    pool = draw(learnt, recipe.each * 20, rng)
    for step in range(recipe.steps):
        if step % 50 == 49:
            pool = draw(learnt, recipe.each * 20, rng)
        chosen = torch.randint(len(pool.labels), (recipe.each * 7,), generator=generator)
        present = dropped(len(chosen), generator)
        faint = FAINTEST + (1 - FAINTEST) * torch.rand(present.shape, generator=generator)
        present = torch.where(torch.rand(len(chosen), 1, generator=generator) < 0.5, present, present * faint)
        loss = F.cross_entropy(answer(network, pool, present, chosen), pool.labels[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return network.eval()


def answer(network: Fusion, trios: Trios, present: Tensor, chosen: Tensor | None = None) -> Tensor:
    """logits float32 [n, 7] of all the trios, or of those ``chosen``; present: [n, 3]."""
    at = slice(None) if chosen is None else chosen
    return network(trios.logits[at], trios.embedding[at], trios.affect[at], present)["logits"]
