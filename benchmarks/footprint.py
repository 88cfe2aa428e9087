"""What does each engine cost, in time and memory?  ``python -m benchmarks.footprint``.

Every model is loaded in a process of its own and run on the inputs of its golden file.  The real-time factor
is the time of a step over the time that it covers; memory is what loading and running it added, resident.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import psutil
import typer
from rich.console import Console
from rich.table import Table

from engines.command import command
from engines.engine import open_engine
from engines.golden import golden_path
from nodes.runtime.messages import CHUNK_NS, FRAME_NS

ENGINES = Path(__file__).parents[1] / "engines"
# What a step covers: a chunk, but a picture for the landmarks.
COVERS_NS = {"landmarks": FRAME_NS}
WARM_UP = 20


def measure(model: Path, steps: int) -> dict[str, float]:
    """In this process, which should have loaded no other model."""
    this = psutil.Process()
    before = this.memory_info().rss
    engine = open_engine(model)
    with np.load(golden_path(model), allow_pickle=False) as golden:
        feeds = {name[3:]: golden[name] for name in golden.files if name.startswith("in.")}
    spent = []
    for _ in range(WARM_UP + steps):
        begun_ns = time.perf_counter_ns()
        engine.run(feeds)
        spent.append(time.perf_counter_ns() - begun_ns)
    middle, most = np.percentile(spent[WARM_UP:], [50, 99])
    covers = COVERS_NS.get(model.stem, CHUNK_NS)
    memory = this.memory_info().rss - before
    return {
        "p50_ms": middle / 1e6,
        "p99_ms": most / 1e6,
        "factor": middle / covers,
        "memory_mb": memory / 1e6,
    }


def main(
    model: Annotated[Path | None, typer.Argument(help="one model, printed as JSON; without it all")] = None,
    steps: Annotated[int, typer.Option(help="how often each is run", min=10)] = 300,
) -> None:
    """Prints a table with a row for each engine that ships."""
    if model is not None:
        print(json.dumps(measure(model, steps)))
        return
    table = Table(title=f"{steps} steps each, one thread")
    table.add_column("engine", no_wrap=True)
    for column in ("file, MB", "step p50, ms", "p99, ms", "real-time factor", "memory, MB"):
        table.add_column(column, justify="right")
    total = 0.0
    for path in sorted(ENGINES.glob("**/weights/**/*.onnx")):
        if not golden_path(path).exists():
            continue
        this = [sys.executable, "-m", "benchmarks.footprint", str(path), "--steps", str(steps)]
        result = json.loads(subprocess.run(this, check=True, capture_output=True, text=True).stdout)
        total += result["factor"]
        name = f"{path.relative_to(ENGINES).parts[0]}/{path.stem}"
        figures = (f"{result[key]:.2f}" for key in ("p50_ms", "p99_ms", "factor"))
        size = f"{path.stat().st_size / 1e6:.1f}"
        table.add_row(name, size, *figures, f"{result['memory_mb']:.0f}")
    table.add_section()
    table.add_row("all", "", "", "", f"{total:.2f}", "")
    Console().print(table)


if __name__ == "__main__":
    command(main)
