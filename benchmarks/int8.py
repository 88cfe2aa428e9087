"""What does int8 cost and bring on this processor?  ``python -m benchmarks.int8``.

The speech engines in float32 and in int8 on the same GRID clips (validation, the speaker the lips were learnt
from) through the transcribe node; steps of both are timed by turns and the tenth percentile is taken, so that
other work on the machine counts little.  Tokens: frames of the rehearsal whose best token is the same.
A second table has the ways of int8 that were not taken.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from onnxruntime.quantization import QuantType
from rich.console import Console
from rich.table import Table

from benchmarks.engines import processor_name, random_feeds
from engines.command import command
from engines.engine import OnnxRuntimeEngine, next_state, open_engine, zero_state
from engines.int8 import quantise
from engines.speech.evaluation.hearing import Hearing
from engines.speech.evaluation.replay import blocks, play
from engines.speech.recordings import grid_clips, grid_split, read_align, read_sound
from engines.speech.rehearsal import rehearsal
from engines.speech.score import word_error_rate
from engines.trust import token_agreement
from engines.variant import fix_batch, make_variant, read_model
from nodes.perception.transcribe import WEIGHTS

DATA = Path(__file__).parents[2] / "shared" / "data"
NAMES = ("audio", "video", "fusion")
PRECISIONS = ("float32", "int8")
# Ways of int8: operators, and the weights' type.  The first is ours.
WAYS = {
    "products, unsigned": (("MatMul",), QuantType.QUInt8),
    "products, signed": (("MatMul",), QuantType.QInt8),
    "convolutions too, unsigned": (("MatMul", "Conv"), QuantType.QUInt8),
    "convolutions too, signed": (("MatMul", "Conv"), QuantType.QInt8),
}


def write_engines(folder: Path, precision: str) -> Path:
    """The three engines in this precision, where a transcribe node looks for them."""
    folder.mkdir()
    for name in NAMES:
        model = WEIGHTS / f"{name}.onnx"
        data = model.read_bytes() if precision == "float32" else make_variant(model, precision)
        (folder / model.name).write_bytes(data)
    return folder


def milliseconds(engines: dict[str, OnnxRuntimeEngine], steps: int) -> dict[str, float]:
    """The tenth percentile of a step, which other work on the machine touches least; taken by turns."""
    states = {precision: zero_state(engine) for precision, engine in engines.items()}
    times: dict[str, list[int]] = {precision: [] for precision in engines}
    feeds = random_feeds(engines["float32"])
    for _ in range(steps):
        for precision, engine in engines.items():
            begun = time.perf_counter_ns()
            outputs = engine.run({**feeds, **states[precision]})
            times[precision].append(time.perf_counter_ns() - begun)
            states[precision] = next_state(outputs)
    return {precision: float(np.percentile(taken, 10)) / 1e6 for precision, taken in times.items()}


def ways(name: str, steps: int) -> list[tuple[str, ...]]:
    """A row for each of WAYS: its step, how much faster than float32, tokens that stay the same."""
    model = WEIGHTS / f"{name}.onnx"
    engines = {"float32": OnnxRuntimeEngine(model)}
    for way, (operators, weights) in WAYS.items():
        content = read_model(model)
        fix_batch(content, 1, model)
        small: bytes = quantise(content, operators, weights).SerializeToString()
        engines[way] = OnnxRuntimeEngine(model, variant=small)
    took = milliseconds(engines, steps)
    plain, rows = engines["float32"], []
    for way in WAYS:
        same, _ = token_agreement(engines[way], plain, rehearsal(plain, WEIGHTS))
        faster = f"{took['float32'] / took[way]:.2f}"
        rows.append((name, way, f"{took['float32']:.2f}", f"{took[way]:.2f}", faster, f"{same:.2%}"))
    return rows


def word_errors(folders: dict[str, Path], clips: Sequence[Path]) -> dict[str, dict[str, str]]:
    """By sound, by lips and by both, for each precision."""
    said: list[list[str]] = []
    heard: dict[str, dict[str, list[list[str]]]] = {
        precision: {"sound": [], "lips": [], "both": []} for precision in folders
    }
    for clip in clips:
        said.append([text for text, _, _ in read_align(clip.with_suffix(".align"))])
        sound, faces = blocks(read_sound(clip)), play(clip).faces
        for precision, folder in folders.items():
            hearing = Hearing(weights=str(folder), opener=open_engine)
            for by, messages in {"sound": (sound, []), "lips": ([], faces), "both": (sound, faces)}.items():
                heard[precision][by].append([word.text for word in hearing.words(*messages)])
    return {
        precision: {by: str(word_error_rate(said, words)) for by, words in columns.items()}
        for precision, columns in heard.items()
    }


def main(
    clips: Annotated[int, typer.Option(help="GRID clips")] = 40,
    steps: Annotated[int, typer.Option(help="of each engine, timed")] = 500,
) -> None:
    console = Console(width=108)
    chosen = [clip for clip in grid_clips(DATA / "grid_s1") if grid_split(clip) == "validation"][:clips]
    with tempfile.TemporaryDirectory() as scratch:
        folders = {precision: write_engines(Path(scratch) / precision, precision) for precision in PRECISIONS}
        speed = Table("engine", "float32 ms", "int8 ms", "faster", "float32 MB", "int8 MB", "tokens the same")
        for name in NAMES:
            engines = {
                precision: OnnxRuntimeEngine(folder / f"{name}.onnx") for precision, folder in folders.items()
            }
            took = milliseconds(engines, steps)
            sizes = [f"{(folder / f'{name}.onnx').stat().st_size / 1e6:.1f}" for folder in folders.values()]
            plain, small = engines.values()
            same, frames = token_agreement(small, plain, rehearsal(plain, WEIGHTS))
            faster = f"{took['float32'] / took['int8']:.2f}"
            shown = [f"{took[precision]:.2f}" for precision in PRECISIONS]
            speed.add_row(name, *shown, faster, *sizes, f"{same:.2%} of {frames}")
        console.print(f"{processor_name()}, one thread", speed)
        tried = Table("engine", "int8 in", "float32 ms", "int8 ms", "faster", "tokens the same")
        for name in NAMES:
            for row in ways(name, steps):
                tried.add_row(*row)
        console.print(tried)
        if not chosen:
            console.print(f"no words: {DATA} holds no clips; the recordings are not part of the repository")
            return
        errors = Table("precision", *("sound", "lips", "both"), title=f"word error rate, {len(chosen)} clips")
        for precision, rates in word_errors(folders, chosen).items():
            errors.add_row(precision, *rates.values())
        console.print(errors)


if __name__ == "__main__":
    command(main)
