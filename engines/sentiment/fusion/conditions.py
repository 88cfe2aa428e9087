"""Noise, half a dark face, wrong words: what is still right, and how sure experts and fusion are of it."""

import numpy as np
import torch
from numpy.typing import NDArray

from engines.sentiment.emotions import softmax
from engines.sentiment.fusion.answers import Measured
from engines.sentiment.fusion.fit import answer
from engines.sentiment.fusion.missing import with_only
from engines.sentiment.fusion.model import MODALITIES, Fusion
from engines.sentiment.fusion.trios import draw


def condition_table(network: Fusion, measured: Measured, each: int, seed: int) -> str:
    """Accuracy and mean confidence: of the expert on all of its set, of the fusion on trios with that set."""
    lines = [
        "| modality | condition | expert right | expert sure | fusion right | fusion sure |",
        "|---|---|---|---|---|---|",
    ]
    clean = {modality: [of["clean"]] for modality, of in measured.items()}
    for modality in MODALITIES:
        for name, answers in measured[modality].items():
            trios = draw({**clean, modality: [answers]}, each, np.random.default_rng(seed))
            with torch.no_grad():
                fused = answer(network, trios, with_only(trios, MODALITIES)).numpy()
            alone = _right_and_sure(softmax(answers.logits), answers.labels)
            both = _right_and_sure(softmax(fused, float(network.temperature)), trios.labels.numpy())
            cells = [f"{right:.1%} | {sure:.3f}" for right, sure in (alone, both)]
            lines.append(f"| {modality} | {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _right_and_sure(believed: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[float, float]:
    return float((believed.argmax(-1) == labels).mean()), float(believed.max(-1).mean())
