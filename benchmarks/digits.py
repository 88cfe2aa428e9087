"""How many digits of a speaker never heard are understood?  ``python -m benchmarks.digits SPEAKER``.

Recordings of the Free Spoken Digit Dataset, half a second of silence before and after each, through the node
that hears live, held to one digit after another by ``grammars/digits.txt``.  A recording is right when
exactly its digit comes out.
"""

from collections import Counter
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress

import engines.speech
from engines.command import command
from engines.speech.evaluation.hearing import Hearing
from engines.speech.evaluation.measure import COLUMNS, choose
from engines.speech.evaluation.replay import record
from engines.speech.layouts import find_clips

DATA = Path(__file__).parents[2] / "shared" / "data" / "fsdd"
GRAMMAR = Path(engines.speech.__file__).parent / "grammars" / "digits.txt"
TARGET = 90.0


def main(
    speaker: Annotated[str, typer.Argument(help="who was kept out of training")] = "jackson",
    weights: Annotated[str, typer.Option(help="folder of the models trained without this speaker")] = "",
    data: Annotated[Path, typer.Option(help="DIGIT_SPEAKER_N.wav files")] = DATA,
    clips: Annotated[int, typer.Option(help="how many, 0 for all", min=0)] = 0,
    grammar: Annotated[Path, typer.Option(help="the words that are possible")] = GRAMMAR,
) -> None:
    """Prints the share that is right, and what is taken for what; exit status 1 below the target."""
    console, hearing = Console(), Hearing(weights, str(grammar))
    chosen = choose(find_clips(data), clips, False, speaker, data)
    right, wrong = [], Counter[str]()
    with Progress(*COLUMNS, console=console) as progress:
        for clip in progress.track(chosen, description=speaker):
            take = record(clip)
            heard = [word.text for word in hearing.words(take.sound, [])]
            hearing.memory.forget()
            right.append(tuple(heard) == take.words)
            if not right[-1]:
                wrong[f"{take.words[0]} as {' '.join(heard) or 'nothing'}"] += 1
    picks = np.random.default_rng(0).integers(len(right), size=(1000, len(right)))
    low, high = np.percentile(100 * np.array(right, float)[picks].mean(axis=1), [2.5, 97.5])
    accuracy = 100 * float(np.mean(right))
    console.print(f"{speaker}: {accuracy:.1f} % of {len(right)} digits right ({low:.1f} to {high:.1f})")
    if wrong:
        console.print("heard " + ", ".join(f"{what} {count}x" for what, count in wrong.most_common(8)))
    met = accuracy >= TARGET
    console.print(f"target {TARGET:g} %: {'met' if met else 'MISSED'}")
    if not met:
        raise typer.Exit(1)


if __name__ == "__main__":
    command(main)
