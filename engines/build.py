"""Which models are compiled, for what, and where the plans go: ``python launch.py build``."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from engines.engine import ModelError, OnnxRuntimeEngine
from engines.gpu.compile import Report, capabilities, compile_plan
from engines.gpu.device import find_capability
from engines.gpu.library import Library, find_library
from engines.plan import Key, obtain_plan, plan_folder, plan_path
from engines.variant import make_variant

ROOT = Path(__file__).parent
SOURCES = ("variant.py", "half.py", "int8.py", "gpu/compile.py")

PRECISIONS = ("float32", "float16")

Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Built:
    """report: None where the plan was there already."""

    path: Path
    plan: bytes
    report: Report | None


def shipped_models() -> list[Path]:
    return sorted(ROOT.glob("**/weights/*.onnx"))


@cache
def recipe() -> str:
    """Changes with the code that makes a plan of a model."""
    digest = hashlib.sha256()
    for name in SOURCES:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def make_key(model: Path, precision: str, batch: int, library: str, version: str, capability: str) -> Key:
    """The key of ``model``'s plan.  Raises ModelError where the model cannot be loaded."""
    inputs = OnnxRuntimeEngine(model, batch).inputs
    return Key(
        model=hashlib.sha256(model.read_bytes()).hexdigest(),
        shapes={name: list(shape) for name, (shape, _) in sorted(inputs.items())},
        precision=precision,
        library=library,
        version=version,
        capability=capability,
        recipe=recipe(),
    )


def build(
    library: Library, model: Path, precision: str, capability: int, batch: int = 1, tell: Tell | None = None
) -> Built:
    """The TensorRT plan of ``model`` out of the cache, compiled into it where it is not there.

    Raises ModelError where it cannot be compiled.
    """
    if precision not in PRECISIONS:
        raise ModelError(f"precision {precision!r}: TensorRT plans are {' or '.join(PRECISIONS)}")
    key = make_key(model, precision, batch, library.name, library.version, f"sm_{capability}")
    path = plan_path(plan_folder(), model.stem, key)
    reports: list[Report] = []

    def compile_now() -> bytes:
        variant = make_variant(model, precision, batch)
        plan, report = compile_plan(library, variant, str(model), capability, precision == "float16", tell)
        reports.append(report)
        return plan

    plan = obtain_plan(path, key, compile_now)
    return Built(path, plan, reports[0] if reports else None)


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


def build_all(models: Sequence[Path], precision: str, target: str | None, batch: int = 1) -> None:
    """Builds each and prints a table.  Raises ModelError at the first that cannot be built."""
    library = find_library()
    capability = read_capability(target, library)
    console = Console()
    table = Table("engine", "layers", "float16", "float32", "islands", "plan, MB", "seconds", box=None)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        for model in models:
            task = progress.add_task(f"{model.stem} for sm_{capability}", total=None)

            def tell(phase: str, done: int, of: int, task=task, name=model.stem) -> None:  # type: ignore[no-untyped-def]
                progress.update(task, description=f"{name}: {phase.lower()}", completed=done, total=of)

            built = build(library, model, precision, capability, batch, tell)
            progress.remove_task(task)
            table.add_row(model.stem, *_row(built))
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
