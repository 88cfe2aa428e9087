"""Builds the speech that the recogniser is trained on: shards of real, re-voiced and synthetic utterances.

    python -m engines.speech.corpus OUT_DIR [--grid FOLDER] [--fsdd FOLDER] [--utterances N] [--seed S] ...

A shard is NAME.opus (Ogg Opus, 16 kHz mono, utterances with 0.3 s of silence between) and NAME.jsonl, one
utterance a line: {"id", "voice", "kind", "split", "start", "end" (samples in the shard), "words": [[text,
start, end (seconds from the utterance's start)], ...]}. A shard that is there is kept, so a stopped build
goes on where it was. corpus.json tells the seed, the versions, what was made, and what was dropped and why.
"""

import json
import multiprocessing
import os
import subprocess
import zlib
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import av
import numpy as np
import typer
from numpy.typing import NDArray
from rich.progress import Progress

from engines.command import command
from engines.speech import accents, festival, prompts
from engines.speech.layouts import find_clips
from engines.speech.people import (
    DIGIT_VARIANTS,
    PROMPT_STRINGS,
    PROMPT_VARIANTS,
    REVOICED_VARIANTS,
    grid_train,
)
from engines.speech.recordings import fsdd_files
from engines.speech.shards import SHARD_SIZE, Shard
from engines.speech.speakers import SPEAKERS
from engines.speech.synthetic import HELD_OUT_FESTIVAL
from engines.speech.voices import DEBIAN, RATE, RHVOICE, Speech
from nodes.runtime.errors import UserError

_GAP = int(0.3 * RATE)
_BITS_PER_SECOND = 20_000
_HELD_OUT_UTTERANCES = 300  # of each held out synthesiser
_DIGIT_STRINGS = 300  # of each FSDD speaker


def defect(speech: Speech) -> str | None:
    """Why an utterance would poison training, or None."""
    samples, seconds = speech.samples, len(speech.samples) / RATE
    if seconds < 0.1 or seconds > 15:
        return "length"
    if not np.isfinite(samples).all():
        return "not finite"
    level = float(np.sqrt(np.mean(samples**2)))
    if level < 1e-3:
        return "silent"
    if np.mean(np.abs(samples) >= 0.999) > 0.005:
        return "clipped"
    previous = 0.0
    for _, start, end in speech.words:
        if start < previous - 1e-3 or end - start < 0.03 or end > seconds + 0.02:
            return "word times"
        if np.sqrt(np.mean(samples[int(start * RATE) : int(end * RATE)] ** 2)) < 0.04 * level:
            return "silent word"
        previous = end
    return None


def write_opus(path: Path, samples: NDArray[np.float32]) -> None:
    """Writes samples (n,) at 16 kHz as Ogg Opus; its header makes every decoder drop the encoder's delay."""
    pcm = (np.clip(samples, -1, 1) * 32767).astype(np.int16)
    # Not libsndfile: its build in the soundfile wheel takes fourteen times as long for the same stream.
    with av.open(str(path), "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=RATE, layout="mono", options={"compression_level": "5"})
        stream.bit_rate = _BITS_PER_SECOND
        for start in range(0, len(pcm), 10 * RATE):
            frame = av.AudioFrame.from_ndarray(pcm[None, start : start + 10 * RATE], "s16", "mono")
            frame.sample_rate, frame.pts = RATE, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_shard(shard: Shard, folder: Path, seed: int) -> Counter[str]:
    """Makes `shard` and returns how many utterances were dropped, by reason; the .jsonl appears last."""
    rng = np.random.default_rng([seed, zlib.crc32(shard.name.encode())])
    pieces, lines, dropped, position = [], [], Counter[str](), 0
    for utterance in SPEAKERS[shard.kind](shard, rng):
        reason = utterance if isinstance(utterance, str) else defect(utterance.speech)
        if reason is not None or isinstance(utterance, str):
            dropped[str(reason)] += 1
            continue
        samples = utterance.speech.samples
        if utterance.kind != "grid":
            samples = samples * np.float32(0.6 / np.abs(samples).max())
        line = {key: getattr(utterance, key) for key in ("id", "voice", "kind", "split")}
        words = [[text, round(start, 3), round(end, 3)] for text, start, end in utterance.speech.words]
        lines.append(json.dumps({**line, "start": position, "end": position + len(samples), "words": words}))
        pieces += [samples, np.zeros(_GAP, np.float32)]
        position += len(samples) + _GAP
    sound, table = folder / f"{shard.name}.opus", folder / f"{shard.name}.jsonl"
    if lines:
        write_opus(sound, np.concatenate(pieces))
    part = table.with_suffix(".part")
    part.write_text("".join(line + "\n" for line in lines))
    part.rename(table)
    return dropped


def plan(
    grid: Path | None,
    fsdd: Path | None,
    utterances: int,
    *,
    rhvoice: bool = True,
    recorded: bool = True,
    accented: bool = True,
) -> list[Shard]:
    """The shards to make, the most valuable first.

    `utterances` is the number of synthetic ones, besides words said alone; with `rhvoice`, its voices say a
    quarter as many more.
    `recorded`: with the prompts, and `accented`: with the voices of other languages, that are installed.
    """

    def cut(kind: str, total: int, **more: str | bool) -> list[Shard]:
        firsts = range(0, total, SHARD_SIZE)
        return [Shard(kind, i, min(SHARD_SIZE, total - first), **more) for i, first in enumerate(firsts)]  # type: ignore[arg-type]

    shards: list[Shard] = []
    if grid:
        shards += cut("grid", len(find_clips(grid)), source=str(grid))
        shards += cut("revoiced", len(grid_train(str(grid))) * REVOICED_VARIANTS, source=str(grid))
    shards += cut("flite", round(utterances * 0.40))
    for speaker, files in fsdd_files(fsdd).items() if fsdd else ():
        shards.append(Shard("fsdd", 0, len(files), speaker, source=str(fsdd)))
        shards.append(Shard("fsdd_strings", 0, _DIGIT_STRINGS, speaker, source=str(fsdd)))
        shards.append(Shard("fsdd_revoiced", 0, len(files) * DIGIT_VARIANTS, speaker, source=str(fsdd)))
    held_out = min(_HELD_OUT_UTTERANCES, utterances)
    shards.append(Shard("espeak", 0, held_out, heldout=True))
    shards.append(Shard("festival", 0, held_out, HELD_OUT_FESTIVAL, heldout=True))
    shards += cut("espeak", round(utterances * 0.44))
    for voice in prompts.VOICES if recorded else ():
        count = len(prompts.words_of(voice))
        shards.append(Shard("prompts", 0, count, voice))
        shards.append(Shard("prompts_revoiced", 0, count * PROMPT_VARIANTS, voice))
        shards.append(Shard("prompts_strings", 0, PROMPT_STRINGS, voice))
    if rhvoice:
        shards += cut("rhvoice", round(utterances * 0.24))
    for voice in festival.VOICES:
        if voice != HELD_OUT_FESTIVAL:
            shards += cut("festival", round(utterances * 0.08), voice=voice)
    for voice in accents.installed() if accented else ():
        shards += cut("accent", round(utterances * 0.024), voice=voice)
    shards += cut("foreign", round(utterances * 0.192))
    # Words said alone, by everybody who can say any.
    shards += cut("espeak", round(utterances * 0.144), single=True)
    shards += cut("flite", round(utterances * 0.144), single=True)
    if rhvoice:
        shards += cut("rhvoice", round(utterances * 0.096), single=True)
    for voice in festival.VOICES:
        if voice != HELD_OUT_FESTIVAL:
            shards += cut("festival", round(utterances * 0.024), voice=voice, single=True)
    for voice in accents.installed() if accented else ():
        shards += cut("accent", round(utterances * 0.012), voice=voice, single=True)
    return shards


def build(folder: Path, shards: list[Shard], seed: int) -> None:
    """Makes the shards that are not there, on all cores, and writes corpus.json."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [shard for shard in shards if not (folder / f"{shard.name}.jsonl").exists()]
    dropped: dict[str, dict[str, int]] = {}
    record = folder / "corpus.json"
    if record.exists():
        dropped = json.loads(record.read_text())["dropped"]
    # The synthesisers' libraries keep traces of what they said before (noise, filters): with
    # a fresh process each, a shard is the same every time.
    context = multiprocessing.get_context("spawn")
    workers = ProcessPoolExecutor(os.cpu_count(), mp_context=context, max_tasks_per_child=1)
    with Progress() as progress, workers as pool:
        task = progress.add_task("speech corpus", total=sum(shard.count for shard in missing))
        running = {pool.submit(write_shard, shard, folder, seed): shard for shard in missing}
        try:
            for future in as_completed(running):
                shard = running[future]
                if reasons := future.result():
                    dropped[shard.name] = dict(reasons)
                progress.update(task, advance=shard.count, description=shard.name)
                record.write_text(json.dumps(_summary(folder, seed, dropped), indent=1) + "\n")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _summary(folder: Path, seed: int, dropped: dict[str, dict[str, int]]) -> dict[str, object]:
    made: dict[str, Counter[str]] = {}
    for table in sorted(folder.glob("*.jsonl")):
        for line in table.read_text().splitlines():
            utterance = json.loads(line)
            count = made.setdefault(f"{utterance['kind']}/{utterance['split']}", Counter())
            count["utterances"] += 1
            count["seconds"] += round((utterance["end"] - utterance["start"]) / RATE, 3)  # type: ignore[assignment]
    return {"seed": seed, "versions": synthesiser_versions(), "made": made, "dropped": dropped}


def synthesiser_versions() -> dict[str, str]:
    packages = f"{DEBIAN} {RHVOICE} {' '.join(accents.PACKAGES.values())}".split()
    query = ["dpkg-query", "--show", "--showformat=${Package} ${Version}\n", *packages]
    try:
        listed = subprocess.run(query, capture_output=True, text=True).stdout
    except OSError:  # not a Debian
        listed = ""
    debian = dict(line.split(maxsplit=1) for line in listed.splitlines() if " " in line)
    return {**debian, **{name: version(name) for name in ("pyworld-prebuilt", "av", "numpy")}}


def main(
    out_dir: Annotated[Path, typer.Argument(help="Where the shards go.")],
    grid: Annotated[Path | None, typer.Option(help="GRID, Lombard GRID, or clips of your own.")] = None,
    fsdd: Annotated[Path | None, typer.Option(help="Free Spoken Digit Dataset .wav files.")] = None,
    utterances: Annotated[int, typer.Option(help="How many synthetic utterances.", min=10)] = 12_500,
    rhvoice: Annotated[bool, typer.Option(help="RHVoice's voices, which Debian keeps in non-free.")] = True,
    recorded: Annotated[
        bool, typer.Option("--prompts/--no-prompts", help="Letters and digits recorded by people.")
    ] = True,
    accented: Annotated[
        bool, typer.Option("--accents/--no-accents", help="English by voices of other languages.")
    ] = True,
    seed: int = 0,
) -> None:
    """Builds (or completes) the training speech in OUT_DIR."""
    if fsdd and not any(fsdd.glob("*.wav")):
        raise UserError(f"--fsdd {fsdd}: no *.wav files there")
    build(out_dir, plan(grid, fsdd, utterances, rhvoice=rhvoice, recorded=recorded, accented=accented), seed)


if __name__ == "__main__":
    command(main)
