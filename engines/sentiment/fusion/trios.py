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
    """``each`` trios of every emotion, at random; each of ``sets`` as often as the root of its size.

    Raises UserError for an emotion that no set has.
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
    weight = np.concatenate([np.full(len(one.labels), len(one.labels) ** -0.5) for one in sets])
    chosen = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        there = np.flatnonzero(pool.labels == label)
        if not len(there):
            raise UserError(
                f"no face, voice or sentence labelled {EMOTIONS[label]} to draw trios from; take more clips"
            )
        wanted = labels == label
        likely = weight[there] / weight[there].sum()
        chosen[wanted] = rng.choice(there, wanted.sum(), p=likely)
    return Answers(pool.logits[chosen], pool.embedding[chosen], pool.affect[chosen], pool.labels[chosen])


def dropped(count: int, generator: torch.Generator) -> Tensor:
    """float32 [count, 3]: every subset of the modalities but the empty one as often as every other."""
    subset = torch.randint(1, 2 ** len(MODALITIES), (count, 1), generator=generator)
    return ((subset >> torch.arange(len(MODALITIES))) & 1).float()
