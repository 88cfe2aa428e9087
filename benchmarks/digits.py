"""How many digits of a speaker never heard are understood?  ``python -m benchmarks.digits SPEAKER``.

Recordings of the Free Spoken Digit Dataset, half a second of silence before and after each, through the node
that hears live.  A recording is right when exactly its digit comes out.  Each is heard twice: held to one
digit by ``grammars/digit.jsgf``, as a recording is and as the target means it, and to any number of digits,
none as well, by ``grammars/digits.txt``.
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
from engines.speech.evaluation.memory import Memory
from engines.speech.evaluation.replay import record
from engines.speech.layouts import find_clips

DATA = Path(__file__).parents[2] / "shared" / "data" / "fsdd"
GRAMMARS = Path(engines.speech.__file__).parent / "grammars"
ONE, ANY = GRAMMARS / "digit.jsgf", GRAMMARS / "digits.txt"
TARGET = 90.0


def told(console: Console, title: str, right: list[bool], wrong: Counter[str]) -> None:
    picks = np.random.default_rng(0).integers(len(right), size=(1000, len(right)))
    low, high = np.percentile(100 * np.array(right, float)[picks].mean(axis=1), [2.5, 97.5])
    accuracy = 100 * float(np.mean(right))
    console.print(f"{title}: {accuracy:.1f} % of {len(right)} digits right ({low:.1f} to {high:.1f})")
    if wrong:
        console.print("heard " + ", ".join(f"{what} {count}x" for what, count in wrong.most_common(8)))


def main(
    speaker: Annotated[str, typer.Argument(help="who was kept out of training")] = "jackson",
    weights: Annotated[str, typer.Option(help="folder of the models trained without this speaker")] = "",
    data: Annotated[Path, typer.Option(help="DIGIT_SPEAKER_N.wav files")] = DATA,
    clips: Annotated[int, typer.Option(help="how many, 0 for all", min=0)] = 0,
) -> None:
    """Prints the share that is right, and what is taken for what; exit status 1 below the target."""
    console, memory = Console(), Memory()
    hearings = {grammar: Hearing(weights, str(grammar), memory.open) for grammar in (ONE, ANY)}
    chosen = choose(find_clips(data), clips, False, speaker, data)
    right: dict[Path, list[bool]] = {grammar: [] for grammar in hearings}
    wrong: dict[Path, Counter[str]] = {grammar: Counter() for grammar in hearings}
    with Progress(*COLUMNS, console=console) as progress:
        for clip in progress.track(chosen, description=speaker):
            take = record(clip)
            for grammar, hearing in hearings.items():
                heard = [word.text for word in hearing.words(take.sound, [])]
                right[grammar].append(tuple(heard) == take.words)
                if not right[grammar][-1]:
                    wrong[grammar][f"{take.words[0]} as {' '.join(heard) or 'nothing'}"] += 1
            memory.forget()
    for grammar in hearings:
        told(console, f"{speaker}, {grammar.name}", right[grammar], wrong[grammar])
    met = 100 * float(np.mean(right[ONE])) >= TARGET
    console.print(f"target {TARGET:g} % with {ONE.name}: {'met' if met else 'MISSED'}")
    if not met:
        raise typer.Exit(1)


if __name__ == "__main__":
    command(main)
