"""What the voice expert gets right on actors it never heard: at the end of each recording, as live."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engines.sentiment.emotions import softmax
from engines.sentiment.measures import (
    calibration_error,
    confusion,
    fitted_temperature,
    unweighted_average_recall,
)
from engines.sentiment.voice.classes import CLASSES, EMOTION_OF, to_emotions
from engines.sentiment.voice.conditions import Bench, open_bench, whole, with_noise
from engines.sentiment.voice.model import VoiceExpert
from engines.sentiment.voice.recordings import Recordings, fold_actors

# Name, noise that training did not use at so many dB, and gain in dB.
CONDITIONS: tuple[tuple[str, float | None, float], ...] = (
    ("as recorded", None, 0.0),
    ("20 dB quieter", None, -20.0),
    ("noise at 20 dB", 20.0, 0.0),
    ("noise at 10 dB", 10.0, 0.0),
    ("noise at 5 dB", 5.0, 0.0),
    ("noise at 0 dB", 0.0, 0.0),
)
_BATCH = 50


@dataclass(frozen=True)
class Answers:
    """logits8 float32 [n, 8] at the end of each recording, the right class int64 [n]."""

    logits8: NDArray[np.float32]
    classes: NDArray[np.int64]

    @property
    def logits(self) -> NDArray[np.float32]:
        """float32 [n, 7], in the order of EMOTIONS."""
        return to_emotions(torch.from_numpy(self.logits8)).numpy()


@dataclass(frozen=True)
class Figures:
    uar: float
    accuracy: float
    confidence: float

    def line(self) -> str:
        return f"UAR {self.uar:.1%}, accuracy {self.accuracy:.1%}, mean confidence {self.confidence:.2f}"


@torch.no_grad()
def answers(network: VoiceExpert, bench: Bench, snr_db: float | None = None, gain_db: float = 0.0) -> Answers:
    """snr_db: noise that training did not use.  gain_db: then everything is so much louder."""
    rows = []
    for chosen in torch.arange(len(bench.classes), device=bench.device).split(_BATCH):
        sound, chunks = whole(bench, chosen)
        if snr_db is not None:
            sound = with_noise(bench, sound, snr_db)
        sound = (sound * 10 ** (gain_db / 20)).clamp(-1, 1)
        outputs, _ = network(bench.mel(sound), network.initial(len(chosen), bench.device))
        rows.append(outputs["logits8"][torch.arange(len(chosen), device=bench.device), chunks - 1])
    return Answers(torch.cat(rows).float().cpu().numpy(), bench.classes.cpu().numpy())


def figures(given: Answers, temperature: float = 1.0) -> Figures:
    """UAR and accuracy over the eight classes; confidence is that of the likeliest of the seven emotions."""
    found = given.logits8.argmax(-1)
    believed = softmax(given.logits, temperature).max(-1)
    return Figures(
        unweighted_average_recall(given.classes, found),
        float((found == given.classes).mean()),
        float(believed.mean()),
    )


@dataclass(frozen=True)
class Table:
    """rows: a Markdown table of all four folds together.  clean: UAR over the eight classes and its 95 %
    interval.  temperature: fitted to the answers without noise; error: calibration before and after.
    """

    rows: list[str]
    folds: list[float]
    clean: float
    interval: tuple[float, float]
    temperature: float
    error: tuple[float, float]
    confusion: NDArray[np.int64]


def conditions(networks: Sequence[VoiceExpert], recordings: Recordings, data: Path) -> Table:
    """Every recording answered by the network of its fold, which never heard its actor."""
    parts = [recordings.of(fold_actors(recordings.actors, fold)) for fold in range(len(networks))]
    device = next(networks[0].parameters()).device
    benches = [open_bench(part, data, 0, device) for part in parts]
    actors = np.concatenate([part.actors for part in parts])

    def ask(snr_db: float | None, gain_db: float) -> Answers:
        given = [answers(net, bench, snr_db, gain_db) for net, bench in zip(networks, benches, strict=True)]
        return Answers(
            np.concatenate([one.logits8 for one in given]), np.concatenate([one.classes for one in given])
        )

    clean = ask(None, 0)
    emotions = np.array(EMOTION_OF)[clean.classes]
    temperature = fitted_temperature(clean.logits, emotions)
    rows = [
        "| condition | UAR, 8 classes | 95 % interval | accuracy | mean confidence |",
        "|---|---|---|---|---|",
    ]
    for name, snr_db, gain_db in CONDITIONS:
        given = clean if name == "as recorded" else ask(snr_db, gain_db)
        seen, (low, high) = figures(given, temperature), interval(given, actors)
        rows.append(
            f"| {name} | {seen.uar:.1%} | {low:.1%} to {high:.1%} "
            f"| {seen.accuracy:.1%} | {seen.confidence:.2f} |"
        )
    found = clean.logits8.argmax(-1)
    first = np.cumsum([0, *(len(part.classes) for part in parts)])
    return Table(
        rows=rows,
        folds=[
            unweighted_average_recall(clean.classes[a:b], found[a:b]) for a, b in itertools.pairwise(first)
        ],
        clean=unweighted_average_recall(clean.classes, found),
        interval=interval(clean, actors),
        temperature=temperature,
        error=(
            calibration_error(clean.logits, emotions),
            calibration_error(clean.logits, emotions, temperature),
        ),
        confusion=confusion(clean.classes, found, len(CLASSES)),
    )


def interval(given: Answers, actors: NDArray[np.int64], rounds: int = 1000) -> tuple[float, float]:
    """95 % of the UAR, percentile bootstrap over actors: an actor's recordings go together."""
    found, rng = given.logits8.argmax(-1), np.random.default_rng(0)
    tables = np.stack(
        [confusion(given.classes[actors == a], found[actors == a], len(CLASSES)) for a in np.unique(actors)]
    )
    drawn = tables[rng.integers(0, len(tables), (rounds, len(tables)))].sum(1)  # [rounds,8,8]
    recalls = np.diagonal(drawn, axis1=1, axis2=2) / drawn.sum(2).clip(min=1)
    low, high = np.percentile(recalls.mean(1), [2.5, 97.5])
    return float(low), float(high)
