"""Where should sound and lips meet?  ``python -m benchmarks.fusions hybrid=DIR early=DIR ...``.

Each DIR holds the three engines of one setting (``engines.speech.train --fusion NAME``, then
``engines.speech.export``), all with the same audio and video network.  They are heard as live, behind the
same gate, on the same clips: single ones, and three in one stream.  It writes docs/fusions.md.
"""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.measured.compared import compared
from benchmarks.never_worse import ALLOWED, DATA, SENTENCES
from engines.command import command
from engines.speech.evaluation.hearing import Hearing
from engines.speech.evaluation.measure import SOUND_ALONE, Bench, measure_all
from engines.speech.evaluation.noises import Heard
from engines.speech.evaluation.results import Results, Score, digest, score
from engines.speech.evaluation.talk import talks
from engines.speech.evaluation.views import Seen
from nodes.runtime.errors import UserError

PAGE = Path(__file__).parents[1] / "docs" / "fusions.md"
SOUNDS = (
    Heard(),
    *(Heard("noise", snr) for snr in (0.0, -5.0)),
    *(Heard("babble", snr) for snr in (10.0, 0.0, -5.0)),
)
VIEWS = (Seen(), Seen(missing=0.5), Seen(late_ms=120), Seen(other="clip"))
STRANGER = Seen(other="stranger")

Cells = dict[tuple[str, str], Score]


def folders(pairs: list[str]) -> dict[str, Path]:
    """NAME=DIR of each.  Raises UserError for what is not of that form or not there."""
    found = {}
    for pair in pairs:
        name, _, folder = pair.partition("=")
        if not folder:
            raise UserError(f"{pair}: give NAME=DIR, as late=runs/late")
        if not (Path(folder) / "fusion.onnx").exists():
            raise UserError(f"{folder}: no fusion.onnx; export it with `python -m engines.speech.export`")
        found[name] = Path(folder)
    return found


def overview(found: dict[str, tuple[Cells, Cells]]) -> str:
    """Markdown: a line for each fusion; points of all cells but those of the sound alone."""
    lines = [
        f"| fusion | single clips: mean | worst | cells above {ALLOWED:g} "
        f"| {SENTENCES} in a stream: mean | worst | cells above {ALLOWED:g} |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, both in found.items():
        told = []
        for cells in both:
            points = [each.excess.percent for each in cells.values() if each.excess]
            above = sum(each > ALLOWED for each in points)
            mean = sum(points) / len(points)
            told.append(f"{mean:+.2f} | {max(points):+.1f} | {above} of {len(points)}")
        lines.append(f"| {name} | {' | '.join(told)} |")
    return "\n".join(lines)


def table(found: dict[str, Cells]) -> str:
    """Markdown: what is seen down, the sound across, the fusions side by side in each cell."""
    first = next(iter(found.values()))
    sounds = list(dict.fromkeys(sound for sound, _ in first))
    alone = (f"{first[sound, SOUND_ALONE].rate.percent:.1f}" for sound in sounds)
    rows = [
        f"| {' / '.join(found)} | {' | '.join(sounds)} |",
        "|---" * (len(sounds) + 1) + "|",
        f"| *sound alone, word error rate, %* | {' | '.join(alone)} |",
    ]
    for seen in dict.fromkeys(seen for _, seen in first if seen != SOUND_ALONE):
        told = (
            " / ".join(
                f"{points.percent:+.1f}" for cells in found.values() if (points := cells[sound, seen].excess)
            )
            for sound in sounds
        )
        rows.append(f"| {seen} | {' | '.join(told)} |")
    return "\n".join(rows)


def page(found: dict[str, tuple[Cells, Cells]], data: str) -> str:
    single, streams = ({name: both[i] for name, both in found.items()} for i in range(2))
    rate = next(iter(next(iter(single.values())).values())).rate
    return f"""\
# Early, intermediate and late fusion

Written by `python -m benchmarks.fusions`; not by hand.

Where sound and lips meet is one setting, `fusion` of `Size` in `engines/speech/model.py`, `--fusion` of
`python -m engines.speech.train`. All are trained the same way on the same two frozen networks, and heard as
live, behind the same gate (`nodes/perception/trust.py`), on {rate.utterances} clips of {data} kept out of
training, {rate.words} words with each sound; then {SENTENCES} of them in one stream. Points of word error
rate above (+) or below (-) the sound alone; one word is {100 / rate.words:.2f}.

{overview(found)}

## Single clips

{table(single)}

## {SENTENCES} in a stream

{table(streams)}
"""


def main(
    weights: Annotated[list[str], typer.Argument(help="NAME=DIR for each fusion")],
    data: Annotated[Path, typer.Option(help="clips with transcripts")] = DATA,
    clips: Annotated[int, typer.Option(help="how many of those kept out of training, 0 for all")] = 24,
    strangers: Annotated[
        Path | None,
        typer.Option(help="clips of others; `python -m nodes.sources.talker.generate --many` makes such"),
    ] = None,
    to: Annotated[Path, typer.Option(help="the page")] = PAGE,
    jobs: Annotated[int, typer.Option(help="clips at a time; 0 is one for each core", min=0)] = 0,
) -> None:
    """Compare fusions by what each hears."""
    console = Console()
    of = compared(data, clips, strangers)
    sounds, others = of.sounds(SOUNDS), of.others
    views = VIEWS + ((STRANGER,) if others else ())
    jobs = jobs or len(os.sched_getaffinity(0))
    found: dict[str, tuple[Cells, Cells]] = {}
    for name, folder in folders(weights).items():
        settings = of.settings(folder, sounds, views)
        told: list[Cells] = []
        for asked, unknown in ((of.chosen, others), (talks(of.chosen, SENTENCES), talks(others, SENTENCES))):
            console.print(f"{name}, {'single clips' if not told else 'streams'}", highlight=False)
            bench = Bench(
                Hearing(str(folder)), of.backgrounds, sounds, views, lips_alone=False, strangers=unknown
            )
            kept = Results(Path("runs") / f"fusions-{digest(settings)}-{len(told)}", settings)
            scores = score(measure_all(bench, asked, kept, console, jobs), SOUND_ALONE)
            told.append({(each.sound, each.seen): each for each in scores})
        found[name] = (told[0], told[1])
    to.write_text(page(found, data.resolve().name))
    console.print(overview(found), highlight=False, soft_wrap=True)
    console.print(f"written: {to}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    command(main)
