"""The best of several trainings: ``python -m engines.speech.choose NAME WORK [WORK ...] --to WORK``.

Trainings of one network from several seeds, each in its own WORK (``engines.speech.train --seed N``), are
compared by the word error rate that each reached on speakers it did not learn from and that nothing is
measured on; the masks of ``model.py`` make that the streaming one.  The best weights are copied, and
NAME.seeds.md, which the model card shows, tells all of them.
"""

import json
import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from engines.command import command
from nodes.runtime.errors import UserError


def chosen_of(name: str, work: Path) -> dict[str, Any]:
    """What ``stage.run_stage`` noted: seed, step, and scores by step."""
    path = work / f"{name}.chosen.json"
    try:
        told: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{path}: not there; run `python -m engines.speech.train --work {work}`") from None
    return told


def table(found: dict[Path, dict[str, Any]], best: Path) -> str:
    """Markdown: a row for each training."""
    rows = ["| seed | step chosen | its word error rate, % | at the last step |", "|---|---|---|---|"]
    for work, told in found.items():
        scores = list(told["scores"].values())
        mark = "**" if work == best else ""
        rows.append(f"| {mark}{told['seed']}{mark} | {told['step']} | {min(scores):.2f} | {scores[-1]:.2f} |")
    return "\n".join(rows) + "\n"


def main(
    name: Annotated[str, typer.Argument(help="audio or video")],
    works: Annotated[list[Path], typer.Argument(help="the --work of each training")],
    to: Annotated[Path, typer.Option(help="where the best goes")],
) -> None:
    """Copy the best weights of several trainings, and say how good each was."""
    found = {work: chosen_of(name, work) for work in works}
    best = min(found, key=lambda work: min(found[work]["scores"].values()))
    to.mkdir(parents=True, exist_ok=True)
    for ending in ("weights.pt", "chosen.json"):
        if best != to:
            shutil.copyfile(best / f"{name}.{ending}", to / f"{name}.{ending}")
    told = table(found, best)
    (to / f"{name}.seeds.md").write_text(told)
    print(told, end="")


if __name__ == "__main__":
    command(main)
