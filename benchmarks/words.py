"""How long after a word is it published?  ``python -m benchmarks.words``.

Clips go through the nodes as they are captured, one message after another.  A word's first partial comes at
the end of capture of the message that completed its chunk, and what the nodes took to compute it; so too the
final after the end of the last word.  Words of sentences that were understood without error, against GRID's
labels; and how far the published times of words are from them.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from engines.command import command
from engines.speech.evaluation.measure import choose
from engines.speech.evaluation.replay import messages_of
from engines.speech.layouts import Clip, Times, find_clips
from nodes.perception.face import Face
from nodes.perception.transcribe import Transcribe
from nodes.runtime.messages import Transcript
from nodes.runtime.node import Context
from nodes.sources.media import Media

DATA = Path(__file__).parents[2] / "shared" / "data" / "grid_s1"
TARGETS_MS = {"first partial after the word's start": 400.0, "final after the speech's end": 700.0}
Told = tuple[int, Transcript]


def transcripts(clip: Clip, weights: str) -> Iterator[Told]:
    """Each transcript of the clip with the time in ns at which it is there."""
    with clip.media.on_disk() as path:
        source, face, hear = Media(path=str(path), speed=0), Face(), Transcribe(weights=weights)
        source.open(Context(name="file", live=False))
        for node in (face, hear):
            node.open(Context(name="node", live=False))
        free_ns = 0
        try:
            for message in messages_of(source):
                begun_ns = time.perf_counter_ns()
                told = hear.step([message] if message.port == "audio" else face.step([message]))
                # What comes while the one before is computed waits for it.
                free_ns = max(message.t_end_ns, free_ns) + time.perf_counter_ns() - begun_ns
                yield from ((free_ns, each) for each in told if isinstance(each, Transcript))
        finally:
            source.close()


def latencies(times: Times, told: Sequence[Told]) -> dict[str, list[float]]:
    """Milliseconds, empty where anything was misunderstood."""
    said = [word for word, _, _ in times]
    finals = [(at, each) for at, each in told if each.final]
    if [word for _, each in finals for word in each.text.split()] != said or len(finals) != 1:
        return {}
    first = []
    for index, (word, start, _) in enumerate(times):
        heard = (at for at, each in told if each.text.split()[index : index + 1] == [word])
        first.append(next(heard) / 1e6 - 1e3 * start)
    final = finals[0][0] / 1e6 - 1e3 * times[-1][2]
    return dict(zip(TARGETS_MS, (first, [final]), strict=True))


def offsets(times: Times, told: Sequence[Told]) -> dict[str, list[float]]:
    """How late the final's words begin and end against the labels, in ms; empty as ``latencies``."""
    if not latencies(times, told):
        return {}
    words = next(each.words for _, each in told if each.final)
    pairs = list(zip(times, words, strict=True))
    return {
        "words begin": [word.t_start_ns / 1e6 - 1e3 * start for (_, start, _), word in pairs],
        "words end": [word.t_end_ns / 1e6 - 1e3 * end for (_, _, end), word in pairs],
    }


def main(
    data: Annotated[Path, typer.Argument(help="clips with the times of their words")] = DATA,
    clips: Annotated[int, typer.Option(help="how many of those kept out of training, 0 for all")] = 40,
    weights: Annotated[str, typer.Option(help="folder of other models")] = "",
) -> None:
    """Prints the median and the 90th percentile of both."""
    found: dict[str, list[float]] = {name: [] for name in TARGETS_MS}
    late: dict[str, list[float]] = {"words begin": [], "words end": []}
    chosen = choose(find_clips(data), clips, True, "", data)
    for clip in chosen:
        times, told = clip.times(), list(transcripts(clip, weights))
        for sums, values in ((found, latencies(times, told)), (late, offsets(times, told))):
            for name, each in values.items():
                sums[name] += each
    sentences = len(found["final after the speech's end"])
    table = Table(title=f"{sentences} of {len(chosen)} clips, those understood without error")
    table.add_column("milliseconds", no_wrap=True)
    for column in ("number", "median", "90th %", "at most"):
        table.add_column(column, justify="right")
    for name, values in found.items():
        if values:
            middle, most = np.percentile(values, [50, 90])
            table.add_row(name, str(len(values)), f"{middle:.0f}", f"{most:.0f}", f"{TARGETS_MS[name]:.0f}")
    console = Console()
    console.print(table)
    for name, off in late.items():
        if off:
            most = np.percentile(np.abs(off), 90)
            console.print(
                f"{name} {np.median(off):+.0f} ms from the label (median), nine in ten within {most:.0f} ms"
            )


if __name__ == "__main__":
    command(main)
