"""The fusion's figures as Markdown tables and a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from engines.sentiment.fusion.missing import RATES, Subset
from engines.sentiment.fusion.model import MODALITIES


def subset_table(rows: Sequence[Subset], single: Mapping[str, float]) -> str:
    """A row for each subset: its experts, each fusion of them, and what that loses to having all."""
    kinds = list(rows[0].fused)
    head = ["there", *(f"{name} alone" for name in MODALITIES), *kinds, *(f"{kind} loses" for kind in kinds)]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in rows:
        cells = [f"{single[name]:.1%}" if name in row.names else "" for name in MODALITIES]
        cells += [f"{row.fused[kind]:.1%}" for kind in kinds]
        cells += [f"{100 * (rows[0].fused[kind] - row.fused[kind]):.1f}" for kind in kinds]
        lines.append(f"| {', '.join(row.names)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def rate_table(curves: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    head = ["fusion", "missing", *(f"{rate:.1f}" for rate in RATES)]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for kind, of in curves.items():
        for what, recalls in of.items():
            name = "each alike" if what == "shared" else f"only {what}"
            lines.append(f"| {kind} | {name} | {' | '.join(f'{recall:.1%}' for recall in recalls)} |")
    return "\n".join(lines)


def plot(path: Path, curves: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    """UAR over the rate of missing, a panel for each fusion."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for axes, (kind, of) in zip(panels, curves.items(), strict=True):
        for what in ("shared", *MODALITIES):
            name = "each alike" if what == "shared" else f"only {what}"
            axes.plot(RATES, [100 * recall for recall in of[what]], marker=".", label=name)
        axes.set(title=f"{kind} fusion", xlabel="rate of missing")
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("UAR, %")
    panels[0].legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
