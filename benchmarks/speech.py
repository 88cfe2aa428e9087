"""How well is speech understood that was kept out of training?  ``python -m benchmarks.speech``.

One table after the other: clips of GRID's speaker by sound, lips and both, in quiet and in noise
(``launch.py evaluate``); two synthetic voices (``benchmarks.voices``); the digits of a real speaker
(``benchmarks.digits``).
"""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks import digits, voices
from engines.command import command
from engines.speech.evaluation.run import evaluate

DATA = Path(__file__).parents[2] / "shared" / "data"


def main(
    clips: Annotated[int, typer.Option(help="of GRID; 0 for all that were kept out", min=0)] = 40,
    data: Annotated[Path, typer.Option(help="folder of grid_s1/, fsdd/, noise/ and ravdess/")] = DATA,
    weights: Annotated[str, typer.Option(help="folder of other models")] = "",
    folder: Annotated[Path | None, typer.Option(help="where results are kept, to go on from")] = None,
) -> None:
    """Prints the tables; exit status 1 where too few digits are understood."""
    grid = folder / "grid" if folder else None
    evaluate(data / "grid_s1", grid, clips, True, "", weights, "", data / "noise", data / "ravdess")
    voices.main(weights=weights, folder=(folder or Path("runs")) / "voices")
    digits.main(data=data / "fsdd", weights=weights)


if __name__ == "__main__":
    command(main)
