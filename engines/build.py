"""Which models are compiled, for what, and where the plans go: ``python launch.py build``.

``python -m engines.build MODEL PRECISION CAPABILITY BATCH`` makes one, giving way to whatever else runs.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import onnxruntime
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from engines.command import command
from engines.engine import Engine, ModelError, OnnxRuntimeEngine, RowEngine
from engines.gpu.compile import Report, capabilities, compile_plan
from engines.gpu.device import find_capability
from engines.gpu.library import Library, find_library
from engines.plan import Key, obtain_plan, plan_folder, plan_path, read_plan
from engines.variant import LARGEST_BATCH, make_variant

ROOT = Path(__file__).parent
SOURCES = ("variant.py", "half.py", "int8.py", "gpu/compile.py")

CPU = "cpu"
GPU_PRECISIONS = ("float32", "float16")

Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Built:
    """report: None where the plan was there already."""

    path: Path
    plan: bytes
    report: Report | None


def shipped_models() -> dict[str, Path]:
    """By what they are for and their own name: "speech/fusion" and "sentiment/fusion" are two."""
    files = sorted(ROOT.glob("*/weights/*.onnx"))
    return {f"{file.parent.parent.name}/{file.stem}": file for file in files}


@cache
def recipe() -> str:
    """Changes with the code that makes a plan of a model."""
    digest = hashlib.sha256()
    for name in SOURCES:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Wanted:
    """A model in another form: compiled for a GPU, or a variant for the processor.

    precision: see ``engines.variant``.  capability: "sm_89", or CPU.  batch: streams a step is for.
    """

    model: Path
    precision: str
    capability: str
    batch: int = 1

    @property
    def path(self) -> Path:
        """Where its plan is or will be."""
        return plan_path(plan_folder(), self.model.stem, _key(self))

    def __str__(self) -> str:
        name = "onnxruntime" if self.capability == CPU else find_library().name
        together = f", up to {self.batch} streams at once" if self.batch > 1 else ""
        return f"{name} {self.precision}{together}"


def _key(wanted: Wanted) -> Key:
    """Raises ModelError where the model cannot be loaded, or where its library is missing."""
    library = None if wanted.capability == CPU else find_library()
    inputs = OnnxRuntimeEngine(wanted.model, wanted.batch).inputs
    return Key(
        model=hashlib.sha256(wanted.model.read_bytes()).hexdigest(),
        shapes={name: list(shape) for name, (shape, _) in sorted(inputs.items())},
        precision=wanted.precision,
        library=library.name if library else "onnxruntime",
        version=library.version if library else onnxruntime.__version__,
        capability=wanted.capability,
        recipe=recipe(),
    )


def find_plan(wanted: Wanted) -> bytes | None:
    """What is in the cache already, whole and of the right key; else None."""
    return read_plan(wanted.path, _key(wanted))


def build(wanted: Wanted, tell: Tell | None = None) -> Built:
    """The plan out of the cache, made and put there where it is missing.

    For the processor a plan is the variant's ONNX file.  Raises ModelError where it cannot be made.
    """
    key, path = _key(wanted), wanted.path
    reports: list[Report] = []

    def make() -> bytes:
        variant = make_variant(wanted.model, wanted.precision, wanted.batch)
        if wanted.capability == CPU:
            return variant
        if wanted.precision not in GPU_PRECISIONS:
            names = " or ".join(GPU_PRECISIONS)
            raise ModelError(f"precision {wanted.precision!r}: TensorRT plans are {names}")
        half, target = wanted.precision == "float16", read_capability(wanted.capability, find_library())
        plan, report = compile_plan(find_library(), variant, str(wanted.model), target, half, tell)
        reports.append(report)
        return plan

    plan = obtain_plan(path, key, make)
    return Built(path, plan, reports[0] if reports else None)


def load_plan(wanted: Wanted, plan: bytes, like: Engine) -> RowEngine:
    """The engine of a plan.  Raises ModelError where it does not load on this machine.

    like: the model that it has to be of, for as many streams.
    """
    if wanted.capability == CPU:
        return OnnxRuntimeEngine(wanted.model, wanted.batch, plan)
    from engines.gpu.engine import TensorRtEngine

    return TensorRtEngine(find_library(), plan, like, wanted.model)


def widest(model: Path, streams: int) -> int:
    """For how many of ``streams`` one step of the model can be: 1 where it was exported for one."""
    batch = min(streams, LARGEST_BATCH)
    if batch == 1:
        return 1
    shape, _ = next(iter(OnnxRuntimeEngine(model, batch).inputs.values()))
    return batch if shape[0] == batch else 1


def read_capability(text: str | None, library: Library) -> int:
    """ "sm_89", "89" or "8.9" to 89; None is this machine's GPU.  Raises ModelError for anything else."""
    if text is None:
        found = find_capability()
        if found is None:
            known = " ".join(f"sm_{each}" for each in capabilities(library))
            raise ModelError(f"no NVIDIA GPU on this machine; say which one with --for, one of: {known}")
        return found
    digits = text.lower().removeprefix("sm_").replace(".", "")
    if not digits.isdecimal():
        raise ModelError(f"--for {text}: give a compute capability, as in sm_89")
    return int(digits)


def build_all(models: Mapping[str, Path], precision: str, target: str | None, batch: int = 1) -> None:
    """Builds each, by its name, and prints a table.  Raises ModelError at the first that cannot be built.

    batch: for how many streams; one that was exported for one stream is built for one.
    """
    library = find_library()
    capability = read_capability(target, library)
    console = Console()
    table = Table("engine", "layers", "float16", "float32", "islands", "plan, MB", "seconds", box=None)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        for name, model in models.items():
            task = progress.add_task(f"{name} for sm_{capability}", total=None)

            def tell(phase: str, done: int, of: int, task=task, name=name) -> None:  # type: ignore[no-untyped-def]
                progress.update(task, description=f"{name}: {phase.lower()}", completed=done, total=of)

            streams = widest(model, batch)
            built = build(Wanted(model, precision, f"sm_{capability}", streams), tell)
            progress.remove_task(task)
            table.add_row(f"{name} x{streams}" if streams > 1 else name, *_row(built))
    console.print(table)
    console.print(f"{precision}, sm_{capability}, {library.name} {library.version}; in {plan_folder()}")


def _row(built: Built) -> list[str]:
    size = f"{len(built.plan) / 1e6:.1f}"
    if (report := built.report) is None:
        return ["", "", "", "", size, "was there"]
    islands = len(report.islands)
    return [str(n) for n in (report.count, report.float16, report.float32, islands)] + [
        size,
        f"{report.seconds:.1f}",
    ]


def build_command(wanted: Wanted) -> list[str]:
    return [str(wanted.model), wanted.precision, wanted.capability, str(wanted.batch)]


def main(model: Path, precision: str, capability: str, batch: int) -> None:
    """Build one plan beside a pipeline that runs: this is the process that ``build_command`` starts."""
    os.nice(15)
    build(Wanted(model, precision, capability, batch))


if __name__ == "__main__":
    command(main)
