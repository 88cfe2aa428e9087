"""Trios of one face, one voice and one sentence with the same label, all emotions alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engines.sentiment.emotions import EMOTIONS
from engines.sentiment.fusion.answers import Answers
from engines.sentiment.fusion.model import MODALITIES
from nodes.runtime.errors import UserError


@dataclass(frozen=True)
class Trios:
    """logits: float32 [n, 3, 7]; embedding: [n, 3, 64]; affect: [n, 3, 2]; labels: int64 [n]."""

    logits: Tensor
    embedding: Tensor
    affect: Tensor
    labels: Tensor


def draw(sets: Mapping[str, Sequence[Answers]], each: int, rng: np.random.Generator) -> Trios:
    """``each`` trios of every emotion; each modality from one of its ``sets`` after the other, at random.

    An emotion that a set does not have is drawn from the others; UserError where none has it.
    """
    labels = np.repeat(np.arange(len(EMOTIONS)), each)
    rows = [_draw(sets[modality], labels, rng) for modality in MODALITIES]

    def stacked(name: str) -> Tensor:
        return torch.from_numpy(np.stack([getattr(row, name) for row in rows], 1))

    return Trios(stacked("logits"), stacked("embedding"), stacked("affect"), torch.from_numpy(labels))


def _draw(sets: Sequence[Answers], labels: np.ndarray, rng: np.random.Generator) -> Answers:
    pool = Answers(
        np.concatenate([one.logits for one in sets]),
        np.concatenate([one.embedding for one in sets]),
        np.concatenate([one.affect for one in sets]),
        np.concatenate([one.labels for one in sets]),
    )
    owner = np.concatenate([np.full(len(one.labels), i) for i, one in enumerate(sets)])
    chosen = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        by_set = [np.flatnonzero((owner == i) & (pool.labels == label)) for i in range(len(sets))]
        by_set = [found for found in by_set if len(found)]
        if not by_set:
            raise UserError(
                f"no face, voice or sentence labelled {EMOTIONS[label]} to draw trios from; take more clips"
            )
        wanted = np.flatnonzero(labels == label)
        which = rng.integers(len(by_set), size=len(wanted))
        chosen[wanted] = [rng.choice(by_set[i]) for i in which]
    return Answers(pool.logits[chosen], pool.embedding[chosen], pool.affect[chosen], pool.labels[chosen])


def dropped(count: int, generator: torch.Generator) -> Tensor:
    """float32 [count, 3]: every subset of the modalities but the empty one as often as every other."""
    subset = torch.randint(1, 2 ** len(MODALITIES), (count, 1), generator=generator)
    return ((subset >> torch.arange(len(MODALITIES))) & 1).float()
