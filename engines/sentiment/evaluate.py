"""How well is meant recognised as meant?  ``python launch.py evaluate --task sentiment DATA``."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from engines.engine import open_engine
from engines.sentiment.emotions import CIRCUMPLEX, EMOTIONS, affect, softmax
from engines.sentiment.fusion.answers import Answers, measured_of
from engines.sentiment.fusion.model import MODALITIES
from engines.sentiment.fusion.trios import draw
from engines.sentiment.measures import (
    calibration_error,
    concordance,
    confusion,
    two_class_accuracy,
    unweighted_average_recall,
    weighted_f1,
)
from engines.sentiment.words.corpora import GRADES, meld, sst
from engines.sentiment.words.measure import read
from engines.sentiment.words.reader import Reader
from nodes.runtime.errors import UserError

WEIGHTS = Path(__file__).parent / "weights"
EACH = 200  # trios of every emotion


@dataclass(frozen=True)
class Figures:
    """Of one expert, or the fusion, on one set; shares 0..1.

    ccc: against where the label's emotion lies on the circumplex: how far off the answer is, not what people
    rated.
    """

    items: int
    accuracy: float
    uar: float
    weighted_f1: float
    acc2_with_neutral: float
    acc2_without_neutral: float
    ccc_valence: float
    ccc_arousal: float
    confidence: float
    calibration_error: float


def figures(answers: Answers) -> Figures:
    """``answers.logits`` calibrated."""
    believed = softmax(answers.logits)
    found: NDArray[np.int64] = believed.argmax(-1)
    right, wanted, given = answers.labels, CIRCUMPLEX[answers.labels], affect(believed)
    return Figures(
        len(right),
        float((found == right).mean()),
        unweighted_average_recall(right, found),
        weighted_f1(right, found),
        two_class_accuracy(wanted[:, 0], given[:, 0], with_neutral=True),
        two_class_accuracy(wanted[:, 0], given[:, 0], with_neutral=False),
        concordance(wanted[:, 0], given[:, 0]),
        concordance(wanted[:, 1], given[:, 1]),
        float(believed.max(-1).mean()),
        calibration_error(answers.logits, right),
    )


def evaluate(data: Path, out: Path | None, limit: int | None, folder: str) -> None:
    """Prints a table of every set that ``data`` has, and writes figures and confusion matrices to ``out``.

    limit: items of each set.  folder: of other models, "" for those that come with hearsee.  Raises UserError
    where ``data`` has none of FER2013, RAVDESS, MELD.
    """
    console = Console(width=150)
    weights = Path(folder) if folder else WEIGHTS
    out = out or Path("runs") / "evaluate" / f"{data.resolve().name}-sentiment"
    sets: dict[str, dict[str, Answers]] = {}
    for modality in MODALITIES:
        try:
            sets[modality] = measured_of(modality, weights, data, out / "answers", limit)
        except UserError as error:
            console.print(f"{modality}: not measured: {error}", highlight=False)
    if not sets:
        raise UserError(f"{data}: has none of fer2013.zip, ravdess/, meld/; give the folder that does")
    rows = {f"{modality}, {name}": a for modality, of in sets.items() for name, a in of.items()}
    if len(sets) == len(MODALITIES):
        rows |= fused(sets, weights / "fusion.onnx")
    results = {name: figures(answers) for name, answers in rows.items()}
    console.print(table(results))
    report = {name: asdict(each) for name, each in results.items()}
    graded = graded_valence(data, weights)
    if graded:
        report["SST"] = graded
        console.print(
            f"words, valence on SST's five grades: CCC {graded['ccc']:.3f}; good or bad {graded['acc2']:.1%}",
            highlight=False,
        )
    if "words" in sets:
        report["MELD sentiments"] = {"weighted_f1": told_sentiments(data, weights, limit)}
        f1 = report["MELD sentiments"]["weighted_f1"]
        console.print(f"words, MELD's three sentiments: weighted F1 {f1:.3f}", highlight=False)
    (out / "sentiment.json").write_text(json.dumps(report, indent=2))
    drawn = draw_confusions(out / "confusion.svg", rows)
    console.print(f"written: {out}/sentiment.json" + (", confusion.svg" if drawn else ""), highlight=False)
    if not drawn:
        console.print("no pictures: they need matplotlib; pip install matplotlib")


def fused(sets: Mapping[str, Mapping[str, Answers]], path: Path) -> dict[str, Answers]:
    """The fusion on trios of the same label, all clean; then with each modality in its other conditions."""
    engine = open_engine(path)
    clean = {modality: [of["clean"]] for modality, of in sets.items()}
    rows = {"fused, all clean": clean}
    for modality, of in sets.items():
        for name in of:
            if name != "clean":
                rows[f"fused, {modality} {name}"] = {**clean, modality: [of[name]]}
    found = {}
    for name, drawn in rows.items():
        trios = draw(drawn, EACH, np.random.default_rng(0))
        outputs = [
            engine.run(
                {
                    "opinions": trios.logits[i : i + 1].numpy(),
                    "embeddings": trios.embedding[i : i + 1].numpy(),
                    "affects": trios.affect[i : i + 1].numpy(),
                    "present": np.ones((1, len(MODALITIES)), np.float32),
                }
            )
            for i in range(len(trios.labels))
        ]
        stacked = {key: np.concatenate([one[key] for one in outputs]) for key in outputs[0]}
        logits = (stacked["logits"] / float(engine.metadata["temperature"])).astype(np.float32)
        found[name] = Answers(logits, stacked["embedding"], stacked["affect"], trios.labels.numpy())
    return found


def graded_valence(data: Path, weights: Path) -> dict[str, float] | None:
    """The words' valence against SST's grades, which people gave; None without SST."""
    try:
        sentences = sst(data, "fine.dev")
    except UserError:
        return None
    given = read(Reader(weights / "words.onnx"), sentences)["affect"][:, 0]
    wanted = np.linspace(-1, 1, GRADES, dtype=np.float32)[[s.grade for s in sentences]]
    return {
        "ccc": concordance(wanted, given),
        "acc2": two_class_accuracy(wanted, given, with_neutral=False),
        "acc2_with_neutral": two_class_accuracy(wanted, given, with_neutral=True),
    }


def told_sentiments(data: Path, weights: Path, limit: int | None) -> float:
    """Weighted F1 of negative, neutral and positive on MELD's dev lines as written."""
    lines = meld(data, "dev")[:limit]
    found = read(Reader(weights / "words.onnx"), lines)["sentiment"].argmax(-1)
    return weighted_f1(np.array([line.sentiment for line in lines]), found)


def table(results: Mapping[str, Figures]) -> Table:
    names = ("n", "right", "UAR", "weighted F1", "Acc2 neutral with", "without", "CCC valence", "arousal")
    page = Table(title="emotions", caption="CCC: against where the label lies on the circumplex")
    for name in ("set", *names, "sure", "ECE"):
        page.add_column(name, justify="left" if name == "set" else "right")
    for name, each in results.items():
        n, *shares = asdict(each).values()
        cells = [f"{share:.1%}" for share in shares[:2]] + [f"{shares[2]:.3f}"]
        cells += [f"{share:.1%}" for share in shares[3:5]] + [f"{share:.3f}" for share in shares[5:]]
        page.add_row(name, str(n), *cells)
    return page


def draw_confusions(path: Path, rows: Mapping[str, Answers]) -> bool:
    """A matrix for each set, rows the right emotion, in percent of it; False without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    across = min(4, len(rows))
    down = -(-len(rows) // across)
    figure = Figure(figsize=(3.4 * across, 3.4 * down), layout="constrained")
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for axes, (name, answers) in zip(panels, rows.items(), strict=False):
        counts = confusion(answers.labels, answers.logits.argmax(-1), len(EMOTIONS))
        shares = 100 * counts / counts.sum(1, keepdims=True).clip(min=1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
        axes.set_title(name, fontsize=9)
        axes.set_xticks(range(len(EMOTIONS)), EMOTIONS, rotation=60, fontsize=7)
        axes.set_yticks(range(len(EMOTIONS)), EMOTIONS, fontsize=7)
        for i, row in enumerate(shares):
            for j, share in enumerate(row):
                axes.text(j, i, f"{share:.0f}", ha="center", va="center", fontsize=6)
    for axes in panels[len(rows) :]:
        axes.remove()
    figure.savefig(path)
    return True
