"""Is a camera ever worse than none?  ``python -m benchmarks.never_worse``.

The word error rate of the whole pipeline less that of the same sound without a camera, for every condition
of the sound with every condition of the picture: pictures lost, the mouth covered, the lips early and late,
the lips of another sentence, a stranger's face, and some of these together.  Then the same clips are said
three in one stream, with pauses: what is carried over them must do no harm either.  It writes
docs/never_worse.md.
"""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.measured.compared import compared
from engines.command import command
from engines.speech.evaluation.hearing import Hearing
from engines.speech.evaluation.measure import SOUND_ALONE, Bench, measure_all
from engines.speech.evaluation.noises import KINDS, Heard
from engines.speech.evaluation.results import Results, Score, digest, score
from engines.speech.evaluation.talk import talks
from engines.speech.evaluation.views import Seen
from engines.speech.score import WordErrorRate
from nodes.perception.transcribe import WEIGHTS

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data" / "grid_s1"
PAGE = ROOT / "docs" / "never_worse.md"
ALLOWED = 0.3  # points
SNRS = (20.0, 10.0, 5.0, 0.0, -5.0)
SOUNDS = (Heard(), *(Heard(kind, snr) for kind in KINDS for snr in SNRS))
VIEWS = (
    Seen(),
    *(Seen(missing=share) for share in (0.25, 0.5, 0.75, 1.0)),
    *(Seen(covered=share) for share in (0.5, 1.0)),
    *(Seen(late_ms=late) for late in (-200, -120, -40, 40, 120, 200)),
    Seen(other="clip"),
    Seen(missing=0.5, covered=0.5),
    Seen(missing=0.5, late_ms=120),
    Seen(missing=0.5, other="clip"),
    Seen(covered=0.5, late_ms=-120),
)
STRANGERS = (Seen(other="stranger"), Seen(missing=0.5, other="stranger"))
SENTENCES = 3  # in a stream
STREAMS = "streams"  # the folder of those results, within that of the others
TALK_VIEWS = (Seen(), Seen(away=True), Seen(missing=0.5), Seen(late_ms=120), Seen(other="clip"))
TALK_STRANGERS = (Seen(other="stranger"),)


TALK = f"""
## {SENTENCES} sentences in one stream

The same clips, {SENTENCES} of them one after another, with pauses in which the lips go on, or the face turns
away: {{streams}} streams.

{{verdict}}

{{tables}}
"""


def points(excess: WordErrorRate) -> str:
    text = f"{excess.percent:+.1f} ({excess.low:+.1f} to {excess.high:+.1f})"
    return f"**{text}**" if excess.percent > ALLOWED else text


def tables(scores: list[Score]) -> str:
    """A table for each kind of noise: what is seen down, the sound across."""
    cells = {(each.sound, each.seen): each for each in scores}
    told = []
    for kind in KINDS:
        sounds = [str(sound) for sound in SOUNDS if sound.kind in ("", kind)]
        sounds = [sound for sound in sounds if (sound, SOUND_ALONE) in cells]
        if len(sounds) < 2:
            continue
        rates = (f"{cells[sound, SOUND_ALONE].rate.percent:.1f}" for sound in sounds)
        rows = [f"| {' | '.join(['', *sounds])} |", "|---" * (len(sounds) + 1) + "|"]
        rows.append(f"| *sound alone, word error rate, %* | {' | '.join(rates)} |")
        for seen in dict.fromkeys(each.seen for each in scores if each.excess):
            row = (points(excess) for sound in sounds if (excess := cells[sound, seen].excess))
            rows.append(f"| {seen} | {' | '.join(row)} |")
        told.append("\n".join(rows))
    return "\n\n".join(told)


def verdict(scores: list[Score]) -> str:
    """One line: how many cells are worse than allowed, how many of these beyond doubt, and the worst."""
    measured = [(each, each.excess) for each in scores if each.excess]
    above = [excess for _, excess in measured if excess.percent > ALLOWED]
    sure = sum(excess.low > 0 for excess in above)
    worst, by = max(measured, key=lambda pair: pair[1].percent)
    return (
        f"{len(measured) - len(above)} of {len(measured)} cells are at most {ALLOWED:g} points above sound "
        f"alone; {len(above)} are more, {sure} of them beyond chance (the interval is above 0). "
        f"Worst: {worst.sound}, {worst.seen}, {by.percent:+.1f} points ({by.low:+.1f} to {by.high:+.1f})."
    )


def page(scores: list[Score], talk: list[Score], data: Path, models: dict[str, str]) -> str:
    """talk: of several sentences in one stream; may be empty."""
    first = next(each.rate for each in scores)
    models_used = ", ".join(f"{name} `{digits}`" for name, digits in models.items())
    return f"""\
# Never worse than sound alone

Written by `python -m benchmarks.never_worse`; not by hand.

Points of word error rate by which the pipeline with a camera is above (+) or below (-) the same pipeline
without one, with the 95 % interval (paired bootstrap over clips): {first.utterances} clips of {data.name}
kept out of training, {first.words} words, streaming as live. One word more or less is
{100 / first.words:.2f} points. Cells above {ALLOWED:g} points are **bold**.

Pictures are lost 400 ms at a time. A hand covers the mouth in the picture, before any face is looked for.
Lips of another sentence are the same speaker's where the clips have only one; a stranger's face is a
rendered one.
Models: {models_used}.

{verdict(scores)}

{tables(scores)}
{TALK.format(streams=talk[0].rate.utterances, verdict=verdict(talk), tables=tables(talk)) if talk else ""}"""


def main(
    data: Annotated[Path, typer.Argument(help="clips with transcripts")] = DATA,
    clips: Annotated[int, typer.Option(help="how many of those kept out of training, 0 for all")] = 40,
    strangers: Annotated[
        Path | None,
        typer.Option(help="clips of others; `python -m nodes.sources.talker.generate --many` makes such"),
    ] = None,
    weights: Annotated[str, typer.Option(help="folder of other models")] = "",
    out: Annotated[Path | None, typer.Option(help="where results are kept, to go on from")] = None,
    to: Annotated[Path, typer.Option(help="the page")] = PAGE,
    jobs: Annotated[int, typer.Option(help="clips at a time; 0 is one for each core", min=0)] = 0,
) -> None:
    """Exit status 1 where a cell is worse than allowed."""
    console = Console()
    of = compared(data, clips, strangers)
    sounds, others = of.sounds(SOUNDS), of.others
    views = VIEWS + (STRANGERS if others else ())
    settings = of.settings(Path(weights) if weights else WEIGHTS, sounds, views)
    results = Results(out or Path("runs") / f"never_worse-{digest(settings)}", settings)
    jobs = jobs or len(os.sched_getaffinity(0))
    bench = Bench(Hearing(weights), of.backgrounds, sounds, views, lips_alone=False, strangers=others)
    rows = measure_all(bench, of.chosen, results, console, jobs)
    views = TALK_VIEWS + (TALK_STRANGERS if others else ())
    bench = Bench(
        Hearing(weights), of.backgrounds, sounds, views, lips_alone=False, strangers=talks(others, SENTENCES)
    )
    streams = Results(
        results.folder / STREAMS, {**settings, "conditions": [*map(str, sounds), *map(str, views)]}
    )
    talk = measure_all(bench, talks(of.chosen, SENTENCES), streams, console, jobs)
    if not rows:
        return
    scores, of_talk = score(rows, SOUND_ALONE), score(talk, SOUND_ALONE)
    to.write_text(page(scores, of_talk, data.resolve(), settings["models"]))
    console.print(verdict(scores), highlight=False, soft_wrap=True)
    if of_talk:
        console.print(
            f"{SENTENCES} sentences in one stream: {verdict(of_talk)}", highlight=False, soft_wrap=True
        )
    console.print(f"written: {to}", highlight=False, soft_wrap=True)
    if any(each.excess and each.excess.percent > ALLOWED for each in (*scores, *of_talk)):
        raise typer.Exit(1)


if __name__ == "__main__":
    command(main)
