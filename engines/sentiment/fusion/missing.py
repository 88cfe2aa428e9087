"""What a fusion loses when modalities are missing: each alone, one missing, and rates from 0 to 0.9.

With a *shared* rate each modality is missing that often, independently, but never all three; with an
*imbalanced* one only the modality named is (Zhao et al., Missing modality imagination network, ACL 2021, and
the surveys after it).
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.sentiment.fusion.fit import answer
from engines.sentiment.fusion.model import MODALITIES, Fusion
from engines.sentiment.fusion.trios import Trios
from engines.sentiment.measures import unweighted_average_recall

RATES = tuple(round(0.1 * i, 1) for i in range(10))


@torch.no_grad()
def recall(network: Fusion, trios: Trios, present: Tensor) -> float:
    """UAR of the fusion where ``present`` [n, 3] is there."""
    return unweighted_average_recall(trios.labels.numpy(), answer(network, trios, present).argmax(1).numpy())


def alone(trios: Trios) -> dict[str, float]:
    """UAR of each expert by itself, as it comes."""
    right = trios.labels.numpy()
    found = trios.logits.argmax(-1).numpy()
    return {name: unweighted_average_recall(right, found[:, i]) for i, name in enumerate(MODALITIES)}


def with_only(trios: Trios, names: tuple[str, ...]) -> Tensor:
    """float32 [n, 3]: 1 for the modalities named."""
    row = torch.tensor([float(name in names) for name in MODALITIES])
    return row.expand(len(trios.labels), -1)


@dataclass(frozen=True)
class Subset:
    """Of one set of modalities: UAR of the best expert in it, and of each fusion by name."""

    names: tuple[str, ...]
    best: float
    fused: dict[str, float]


def subsets(networks: dict[str, Fusion], trios: Trios) -> list[Subset]:
    """All three, each pair, each alone."""
    single = alone(trios)
    rows = []
    for code in (7, 6, 5, 3, 1, 2, 4):
        names = tuple(name for i, name in enumerate(MODALITIES) if code >> i & 1)
        present = with_only(trios, names)
        fused = {kind: recall(network, trios, present) for kind, network in networks.items()}
        rows.append(Subset(names, max(single[name] for name in names), fused))
    return rows


def missing(rates: NDArray[np.float64], count: int, rng: np.random.Generator) -> Tensor:
    """float32 [count, 3]: each modality missing at its rate; where all would be, one at random is there."""
    present = rng.random((count, len(MODALITIES))) >= rates
    nothing = ~present.any(1)
    present[nothing, rng.integers(len(MODALITIES), size=nothing.sum())] = True
    return torch.from_numpy(present.astype(np.float32))


def curves(networks: dict[str, Fusion], trios: Trios, seed: int = 0) -> dict[str, dict[str, list[float]]]:
    """UAR over RATES, by fusion and by what is missing: "shared", or a modality."""
    found: dict[str, dict[str, list[float]]] = {}
    for kind, network in networks.items():
        found[kind] = {}
        for what in ("shared", *MODALITIES):
            found[kind][what] = []
            for rate in RATES:
                rng = np.random.default_rng(seed)
                rates = np.array([rate if what in ("shared", name) else 0.0 for name in MODALITIES])
                present = missing(rates, len(trios.labels), rng)
                found[kind][what].append(recall(network, trios, present))
    return found
