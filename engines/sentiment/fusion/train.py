"""Train and measure the fusion: ``python -m engines.sentiment.fusion.train``, once the experts are there.

Both kinds are trained and measured on the same trios; the one that does better where every modality is there
and where one is missing, on answers that were kept for choosing, is exported.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from torch import Tensor

from engines.command import command
from engines.sentiment.export import export
from engines.sentiment.fusion import report
from engines.sentiment.fusion.answers import SPARE, Learnt, Measured, collect
from engines.sentiment.fusion.card import CARD
from engines.sentiment.fusion.conditions import condition_table
from engines.sentiment.fusion.fit import CORES, FULL, SMOKE, Recipe, answer, fit
from engines.sentiment.fusion.missing import alone, curves, recall, subsets, with_only
from engines.sentiment.fusion.model import EMBEDDING, MODALITIES, Fusion
from engines.sentiment.fusion.trios import Trios, draw, dropped
from engines.sentiment.measures import calibration_error, fitted_temperature

EACH = 500  # trios of every emotion that are measured

console = Console(width=120)


def examples(seed: int) -> dict[str, Tensor]:
    """Answers at random; every modality there, two of them, one of them."""
    g = torch.Generator().manual_seed(seed)
    present = torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.7, 1.0], [0.0, 1.0, 0.0]])[seed % 3 : seed % 3 + 1]
    return {
        "opinions": torch.randn(1, len(MODALITIES), 7, generator=g),
        "embeddings": torch.randn(1, len(MODALITIES), EMBEDDING, generator=g),
        "affects": torch.rand(1, len(MODALITIES), 2, generator=g) * 2 - 1,
        "present": present,
    }


def score(network: Fusion, trios: Trios) -> float:
    """Mean UAR with all three there and with each one missing."""
    kept = [MODALITIES, *(tuple(m for m in MODALITIES if m != gone) for gone in MODALITIES)]
    return float(np.mean([recall(network, trios, with_only(trios, names)) for names in kept]))


@torch.no_grad()
def calibrate(network: Fusion, trios: Trios, seed: int) -> None:
    """One temperature for every subset, by trios of kept answers."""
    present = dropped(len(trios.labels), torch.Generator().manual_seed(seed))
    logits = answer(network, trios, present).numpy()
    network.temperature.fill_(fitted_temperature(logits, trios.labels.numpy()))


@dataclass(frozen=True)
class Crossed:
    """Of one kind, by each half of what is kept, a fusion learnt without it: cross-fitting.

    score: the mean of two; temperature: their mean in logarithms.
    """

    score: float
    temperature: float


def crossed(kind: str, learnt: Learnt, recipe: Recipe, each: int) -> Crossed:
    """What is kept is drawn clean and worse alike: one temperature serves both."""
    scores, temperatures = [], []
    for first in (0, 1):
        rest, kept = halved(learnt, first)
        network = fit(kind, rest, recipe)
        trios = draw(kept, each, np.random.default_rng(recipe.seed))
        calibrate(network, trios, recipe.seed)
        scores.append(score(network, trios))
        temperatures.append(float(network.temperature))
    return Crossed(float(np.mean(scores)), float(np.exp(np.mean(np.log(temperatures)))))


def halved(learnt: Learnt, first: int = 0) -> tuple[Learnt, Learnt]:
    """What is learnt from; and what is kept to choose and calibrate by: half of what no expert knows.

    first: 0 or 1, which half is learnt from.
    """
    spare = {modality: sets[:SPARE] for modality, sets in learnt.items()}
    kept = {modality: [answers.every(1 - first, 2) for answers in sets] for modality, sets in spare.items()}
    rest = {
        modality: [*(answers.every(first, 2) for answers in sets[:SPARE]), *sets[SPARE:]]
        for modality, sets in learnt.items()
    }
    return rest, kept


def train(learnt: Learnt, measured: Measured, out: Path, pictures: Path, recipe: Recipe, each: int) -> None:
    """Fits both kinds, exports one to OUT/fusion.onnx with its card, and draws to PICTURES."""
    rng = np.random.default_rng(recipe.seed)
    kept = {kind: crossed(kind, learnt, recipe, each) for kind in CORES}
    networks = {kind: fit(kind, learnt, recipe) for kind in CORES}
    tested = draw({modality: [of["clean"]] for modality, of in measured.items()}, each, rng)
    chosen = max(kept, key=lambda kind: kept[kind].score)
    network = networks[chosen]
    network.temperature.fill_(kept[chosen].temperature)
    line = export(network, out / "fusion.onnx", examples, {}, float(network.temperature), {"kind": chosen})
    console.print(line, highlight=False)
    rows, found = subsets(networks, tested), curves(networks, tested)
    single = alone(tested)
    report.plot(pictures / "missing.svg", found)
    present = with_only(tested, MODALITIES)
    with torch.no_grad():
        logits = {kind: answer(each, tested, present).numpy() for kind, each in networks.items()}
        subset = dropped(len(tested.labels), torch.Generator().manual_seed(recipe.seed))
        some = answer(network, tested, subset).numpy()
    right = tested.labels.numpy()
    page = CARD.format(
        chosen=chosen,
        parameters=sum(p.numel() for p in network.parameters()),
        temperature=float(network.temperature),
        gain=100 * (rows[0].fused[chosen] - max(single.values())),
        worst=min(100 * (row.fused[chosen] - row.best) for row in rows[1:4]),
        subsets=report.subset_table(rows, single),
        chosen_by=", ".join(f"{kind} {100 * found.score:.1f} %" for kind, found in kept.items()),
        rates=report.rate_table(found),
        any_before=calibration_error(some, right),
        any_after=calibration_error(some, right, float(network.temperature)),
        before=calibration_error(logits[chosen], right),
        after=calibration_error(logits[chosen], right, float(network.temperature)),
        conditions=condition_table(network, measured, each, recipe.seed),
        steps=recipe.steps,
        each=each,
        seed=recipe.seed,
    )
    (out / "fusion.md").write_text(page)
    console.print(page, highlight=False, markup=False)


def main(
    data: Annotated[Path, typer.Option(help="folder of fer2013.zip, ravdess/, meld/, noise/")] = Path(
        "../shared/data"
    ),
    work: Annotated[Path, typer.Option(help="the experts' answers are kept there")] = Path(
        "build/sentiment/fusion"
    ),
    out: Annotated[Path, typer.Option(help="where the experts are and the fusion goes")] = Path(
        "engines/sentiment/weights"
    ),
    pictures: Annotated[Path, typer.Option(help="where missing.svg goes")] = Path("docs/pictures"),
    smoke: Annotated[bool, typer.Option(help="the whole recipe in miniature")] = False,
) -> None:
    """Ask the experts about all recordings, train both fusions, compare them, export the better one."""
    torch.set_num_threads(1)
    learnt, measured = collect(out, data, work, 150 if smoke else None)
    train(learnt, measured, out, pictures, SMOKE if smoke else FULL, 20 if smoke else EACH)


if __name__ == "__main__":
    command(main)
