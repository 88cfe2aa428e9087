"""The recogniser's figures, from an evaluation into the pages: ``python -m engines.speech.figures RUN``.

RUN is the folder that ``python launch.py evaluate`` wrote to.  In every page the table between the two marks
is replaced, so no figure is typed by hand.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from engines.command import command
from engines.speech.evaluation.measure import LIPS_ALONE, SOUND_ALONE
from engines.speech.evaluation.views import Seen
from nodes.runtime.errors import UserError

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "engines" / "speech" / "weights"
PAGES = (
    ROOT / "README.md",
    ROOT / "docs" / "models.md",
    *(WEIGHTS / f"{name}.md" for name in ("audio", "video", "fusion")),
)
BEGIN, END = "<!-- evaluation: python -m engines.speech.figures -->", "<!-- end of evaluation -->"
SOUNDS = ("clean", *(f"{kind} {snr:+d} dB" for kind in ("noise", "babble") for snr in (10, 0, -5)))
COLUMNS = {"sound": SOUND_ALONE, "both": str(Seen()), "half the pictures": str(Seen(missing=0.5))}


def table(told: dict[str, Any]) -> str:
    """A row for each condition of the sound, and the lips alone in that of quiet."""
    rates = {(each["sound"], each["seen"]): each["rate"] for each in told["scores"]}
    rates["clean", LIPS_ALONE] = rates.get(("none", LIPS_ALONE))
    columns = {**COLUMNS, "lips": LIPS_ALONE}
    rows = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for sound in SOUNDS:
        cells = [_cell(rates.get((sound, seen))) for seen in columns.values()]
        if any(cells):
            rows.append(f"| {sound} | {' | '.join(cells)} |")
    speakers = "1 speaker" if told["speakers"] == 1 else f"{told['speakers']} speakers"
    kept = ", kept out of training" if told["held_out"] else ""
    models = ", ".join(f"{name} `{digits}`" for name, digits in told["models"].items())
    rows += ["", f"{told['clips']} clips of {Path(told['data']).name}, {speakers}{kept}; models {models}."]
    return "\n".join(rows)


def _cell(rate: dict[str, float] | None) -> str:
    return f"{rate['percent']:.1f} ({rate['low']:.1f} to {rate['high']:.1f})" if rate else ""


def put(page: Path, content: str) -> None:
    """Raises UserError where the page has no place for it."""
    text = page.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise UserError(f"{page}: has no place for the figures; put {BEGIN!r} and {END!r} into it, once")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n{content}\n{END}{after}")


def main(
    run: Annotated[Path, typer.Argument(help="what `python launch.py evaluate` wrote")],
    pages: Annotated[list[Path] | None, typer.Argument(help="other pages than the project's")] = None,
) -> None:
    """Put the figures of an evaluation into the README, docs/models.md and the model cards."""
    result = run / "evaluation.json"
    if not result.exists():
        raise UserError(f"{result}: not there; run `python launch.py evaluate DATA --out {run}`")
    content = table(json.loads(result.read_text()))
    for page in pages or PAGES:
        put(page, content)


if __name__ == "__main__":
    command(main)
