"""Clips under every condition, each heard as live; what is done is kept."""

import signal
from collections.abc import Iterator, Sequence
from multiprocessing import get_context
from pathlib import Path

import cv2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from engines.speech.evaluation.hearing import Hearing
from engines.speech.evaluation.noises import Backgrounds, Heard, spoken_part
from engines.speech.evaluation.results import Cell, Results, Row, told
from engines.speech.evaluation.talk import Talk, take_of
from engines.speech.evaluation.views import Seen, Views
from engines.speech.layouts import Clip
from nodes.runtime.errors import UserError
from nodes.runtime.messages import Face

SOUND_ALONE = "nothing"
LIPS_ALONE = "no sound"
COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())


class Bench:
    """sounds: conditions of the sound.  views: what is seen with each of them, besides nothing at all.

    lips_alone: whether clips are also played without any sound.  strangers: whose faces may stand in.
    """

    def __init__(
        self,
        hearing: Hearing,
        backgrounds: Backgrounds,
        sounds: Sequence[Heard],
        views: Sequence[Seen],
        lips_alone: bool,
        strangers: Sequence[Clip | Talk] = (),
    ) -> None:
        self._hearing, self._backgrounds = hearing, backgrounds
        self._sounds, self._views, self._lips_alone = sounds, views, lips_alone
        self._strangers = strangers

    def measure(self, clips: Sequence[Clip | Talk], index: int) -> Row:
        """Every cell of one clip; the one before it lends its lips.  UserError where it cannot be played."""
        clip = clips[index]
        take = take_of(clip)
        seen = any(isinstance(face, Face) for face in take.faces)
        kinds = {view.other for view in self._views} if seen else set()
        if len(clips) == 1:
            kinds.discard("clip")
        views = Views(
            take,
            take_of(clips[index - 1]) if "clip" in kinds else None,
            take_of(self._strangers[index % len(self._strangers)]) if "stranger" in kinds else None,
        )
        heard: dict[Cell, list[tuple[str, float, str]]] = {}
        for condition in self._sounds:
            sound = take.with_sound(
                self._backgrounds.add(clip, take.samples, spoken_part(take.samples, take.times), condition)
            )
            heard[str(condition), SOUND_ALONE] = told(self._hearing.words(sound, []))
            for view in self._views:
                if view.other in kinds:
                    heard[str(condition), str(view)] = told(self._hearing.words(sound, views.of(view)))
        if seen and self._lips_alone:
            heard["none", LIPS_ALONE] = told(self._hearing.words([], take.faces))
        self._hearing.memory.forget()
        return Row(clip.name, clip.speaker, take.words, heard)


def measure_all(
    bench: Bench, clips: Sequence[Clip | Talk], results: Results, console: Console, jobs: int = 1
) -> list[Row]:
    """Those of ``clips`` that can be played, with a bar.  Ctrl-C ends it; what is done is kept.

    jobs: processes, each with a clip at a time.
    """
    wanted = [index for index, clip in enumerate(clips) if clip.name not in results.rows]
    with Progress(*COLUMNS, console=console) as progress:
        bar = progress.add_task("clips", total=len(clips), completed=len(clips) - len(wanted))
        try:
            for row in _rows(bench, clips, wanted, jobs):
                if isinstance(row, Row):
                    results.keep(row)
                else:
                    progress.console.print(f"left out: {row}", highlight=False)
                progress.advance(bar)
        except KeyboardInterrupt:
            progress.console.print("stopped; the same command goes on from here")
    return [results.rows[clip.name] for clip in clips if clip.name in results.rows]


def _rows(
    bench: Bench, clips: Sequence[Clip | Talk], wanted: Sequence[int], jobs: int
) -> Iterator[Row | str]:
    """Of each clip what was heard, or why it was left out; in any order."""
    if jobs == 1:
        yield from (_row(bench, clips, index) for index in wanted)
        return
    # Ended by the end of this block, also with Ctrl-C.
    with get_context("spawn").Pool(jobs, _start, (bench, clips)) as pool:
        yield from pool.imap_unordered(_row_here, wanted)


def _row(bench: Bench, clips: Sequence[Clip | Talk], index: int) -> Row | str:
    try:
        return bench.measure(clips, index)
    except UserError as error:
        return str(error)


_here: tuple[Bench, Sequence[Clip | Talk]]  # of a process that measures


def _start(bench: Bench, clips: Sequence[Clip | Talk]) -> None:
    global _here
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    _here = bench, clips


def _row_here(index: int) -> Row | str:
    return _row(*_here, index)


def choose(clips: Sequence[Clip], count: int, held_out: bool, speaker: str, folder: Path) -> list[Clip]:
    """Up to ``count`` clips drawn from all, the same ones every time.  UserError where none is left."""
    chosen = [
        clip for clip in clips if (clip.held_out or not held_out) and (not speaker or clip.speaker == speaker)
    ]
    if not chosen:
        speakers = ", ".join(sorted({clip.speaker for clip in clips})[:20])
        raise UserError(f"{folder}: no such clips there; its speakers are {speakers}")
    return sorted(chosen, key=Clip.lot)[: count or len(chosen)]
