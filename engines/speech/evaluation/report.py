"""An evaluation as a table on the screen, CSV, JSON and a plot."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from engines.speech.evaluation.results import Score
from engines.speech.score import Calibration, WordErrorRate

EVIDENCE = {"a": "sound", "v": "lips", "av": "both"}
COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red")


def interval(rate: WordErrorRate) -> str:
    return f"{rate.percent:.1f} {rate.low:.0f}–{rate.high:.0f}"


def table(scores: Sequence[Score], names: Mapping[str, str], title: str) -> Table:
    """A row for each condition of the sound, a column for each of ``names``: what is seen, its heading."""
    shown = Table(title=title, box=SIMPLE_HEAD)
    shown.add_column("sound", no_wrap=True)
    for name in names.values():
        shown.add_column(name, justify="right", no_wrap=True)
    cells = {(each.sound, each.seen): interval(each.rate) for each in scores}
    for sound in dict.fromkeys(each.sound for each in scores):
        shown.add_row(sound, *(cells.get((sound, seen), "") for seen in names))
    return shown


def calibration_lines(by: Mapping[str, Calibration]) -> list[str]:
    """How far confidence can be believed, one line for each evidence."""
    return [
        f"confidence of words read from {EVIDENCE[key]}: expected calibration error {by[key]}" for key in by
    ]


def write_csv(path: Path, scores: Sequence[Score]) -> None:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["sound", "seen", "clips", "words", "wer_percent", "low", "high", "ece"])
        for each in scores:
            rate, ece = each.rate, each.calibration.error if each.calibration else None
            figures = (f"{value:.2f}" for value in (rate.percent, rate.low, rate.high))
            told = "" if ece is None else f"{ece:.4f}"
            rows.writerow([each.sound, each.seen, rate.utterances, rate.words, *figures, told])


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")


def plot(path: Path, scores: Sequence[Score], names: Mapping[str, str], title: str) -> bool:
    """Word error rate over the signal-to-noise ratio, a panel for each noise; False without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    noises = list(dict.fromkeys(each.sound.split()[0] for each in scores if each.sound.endswith("dB")))
    if not noises:
        return True
    figure = Figure(figsize=(4.5 * len(noises), 3.6), layout="constrained")
    figure.suptitle(title, fontsize="medium")
    for axes, noise in zip(
        figure.subplots(1, len(noises), squeeze=False, sharey=True)[0], noises, strict=True
    ):
        for colour, (seen, name) in zip(COLOURS, names.items(), strict=False):
            points = sorted(
                (float(each.sound.split()[1]), each.rate)
                for each in scores
                if each.sound.startswith(f"{noise} ") and each.seen == seen
            )
            if points:
                snr = [snr for snr, _ in points]
                axes.plot(snr, [rate.percent for _, rate in points], "o-", color=colour, label=name)
                low, high = ([getattr(rate, end) for _, rate in points] for end in ("low", "high"))
                axes.fill_between(snr, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.set_xlabel(f"signal-to-noise ratio, {noise}, dB")
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("word error rate, %")
    figure.axes[0].set_ylim(bottom=0)  # the last, or it would fix the top as well
    figure.axes[0].legend()
    figure.savefig(path)
    return True
