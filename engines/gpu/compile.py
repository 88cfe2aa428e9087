"""An ONNX step to a TensorRT plan, strongly typed: the types in the file are the types that run."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engines.engine import ModelError
from engines.gpu.library import Library

WORKSPACE_BYTES = 256 * 2**20
# Layers that multiply: where the time goes, so what float16 is for.
PRODUCTS = ("CONVOLUTION", "DECONVOLUTION", "MATRIX_MULTIPLY", "EINSUM")
# Layers whose sums do not fit float16 or lose by it.
SUMS = ("SOFTMAX", "NORMALIZATION", "REDUCE")
PASSING = ("CONSTANT", "CAST", "IDENTITY", "SHUFFLE", "SLICE", "CONCATENATION", "GATHER", "SHAPE", "SQUEEZE",
           "UNSQUEEZE", "SELECT", "FILL", "PADDING")  # fmt: skip

Progress = Callable[[str, int, int], None]
"""Called with the phase, the steps done in it and how many it has."""


@dataclass(frozen=True)
class Report:
    """layers: how many of each kind; float16 and float32: how many that compute do so in that type.

    islands: layers that compute in the other type than they should, as "NAME (KIND) in TYPE": in a float16
    plan a product in float32 or a sum in float16, in a float32 plan whatever computes in float16.
    seconds: parsing and building.  bytes: of the plan.
    """

    layers: dict[str, int]
    float16: int
    float32: int
    islands: tuple[str, ...]
    seconds: float
    bytes: int

    @property
    def count(self) -> int:
        return sum(self.layers.values())


def capabilities(library: Library) -> list[int]:
    """The compute capabilities this library can compile for without such a GPU: 89 is 8.9.

    Empty for data-centre TensorRT, which compiles on the GPU that it is for.
    """
    known = getattr(library.trt, "ComputeCapability", None)
    return sorted(int(value) for value in known.__members__.values() if int(value) > 1) if known else []


def compile_plan(
    library: Library,
    model: bytes,
    name: str,
    capability: int,
    half: bool,
    progress: Progress | None = None,
) -> tuple[bytes, Report]:
    """The plan of ``model``, an ONNX file of fixed shapes, for one compute capability, and its report.

    half: whether the file is a float16 variant, so what the report takes for an island.
    Raises ModelError where the file cannot be parsed or built, with TensorRT's first complaint.
    """
    trt, started = library.trt, time.monotonic()
    known = capabilities(library)
    if known and capability not in known:
        names = ", ".join(f"sm_{each}" for each in known)
        raise ModelError(
            f"{library.name} {library.version} does not compile for sm_{capability}; it does for {names}"
        )
    complaints: list[str] = []
    builder = trt.Builder(_listener(trt, complaints))
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, builder.logger)
    if not parser.parse(model):
        reasons = [parser.get_error(i).desc() for i in range(parser.num_errors)]
        raise ModelError(f"{name}: {library.name} cannot parse it ({_first(reasons + complaints)})")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    config.clear_flag(trt.BuilderFlag.TF32)  # float32 says float32: ten bits of mantissa would not be it
    if known:
        config.num_compute_capabilities = 1
        config.set_compute_capability(trt.ComputeCapability(capability), 0)
    if progress:
        config.progress_monitor = _monitor(trt, progress)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise ModelError(f"{name}: {library.name} cannot build it ({_first(complaints)})")
    blob = bytes(plan)
    layers, types, islands = _survey(trt, network, half)
    return blob, Report(layers, types["HALF"], types["FLOAT"], islands, time.monotonic() - started, len(blob))


def _survey(trt: Any, network: Any, half: bool) -> tuple[dict[str, int], Counter[str], tuple[str, ...]]:
    """Of the network as typed: a strongly typed plan keeps these types through every fusion."""
    layers: Counter[str] = Counter()
    types: Counter[str] = Counter()
    islands = []
    for i in range(network.num_layers):
        layer = network.get_layer(i)
        kind, dtype = layer.type.name, layer.get_output(0).dtype.name
        layers[kind] += 1
        if kind in PASSING or dtype not in ("HALF", "FLOAT"):
            continue
        types[dtype] += 1
        sums = kind in SUMS and not _is_choice(trt, layer)
        wanted = "FLOAT" if sums or not half else "HALF"
        if dtype != wanted and (sums or kind in PRODUCTS or not half):
            islands.append(f"{layer.name} ({kind}) in {dtype}")
    return dict(layers), types, tuple(islands)


def _is_choice(trt: Any, layer: Any) -> bool:
    """A largest or smallest value is one of those given, exact in any type."""
    if layer.type != trt.LayerType.REDUCE:
        return False
    layer.__class__ = trt.IReduceLayer
    return layer.op in (trt.ReduceOperation.MAX, trt.ReduceOperation.MIN)


def _listener(trt: Any, complaints: list[str]) -> Any:
    """A logger that keeps the errors and is otherwise silent."""

    class Listener(trt.ILogger):  # type: ignore[misc, name-defined]
        def log(self, severity: Any, message: str) -> None:
            if severity <= trt.ILogger.Severity.ERROR:
                complaints.append(message)

    return Listener()


def _monitor(trt: Any, progress: Progress) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._steps: dict[str, int] = {}

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            self._steps[phase] = steps
            progress(phase, 0, steps)

        def step_complete(self, phase: str, step: int) -> bool:
            progress(phase, step + 1, self._steps.get(phase, step + 1))
            return True

        def phase_finish(self, phase: str) -> None:
            progress(phase, self._steps.get(phase, 1), self._steps.pop(phase, 1))

    return Monitor()


def _first(reasons: list[str]) -> str:
    return " ".join(reasons[0].split())[:200] if reasons else "it does not say why"
