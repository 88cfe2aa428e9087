"""How long does a step take, on the processor and on the GPU?  ``python -m benchmarks.engines``.

A step is 160 ms of a stream, from arrays of the host to arrays of the host, its state kept between steps.
Against TensorRT stand onnxruntime on the processor and torch on the GPU, eager and compiled (float32 as torch
runs it by default, float16 by autocast; the network's size counts here, so its weights are random).  The
floor is the time in which the device's memory, at the bandwidth measured with a copy, gives the weights and
moves the state once: no step can take less.  What is not installed is left out, and said.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from engines.build import Wanted, build, load_plan
from engines.command import command
from engines.engine import Arrays, Engine, ModelError, OnnxRuntimeEngine, next_state, zero_state
from engines.golden import golden_error, golden_path
from engines.gpu.device import Buffer, Stream, call, find_capability
from engines.variant import read_model

WEIGHTS = Path(__file__).parents[1] / "engines" / "speech" / "weights"
COPIED = 2**28
NETWORKS = ("audio", "video", "fusion")
WIDTHS = {"float32": 4, "float16": 2}

Step = Callable[[], None]


def percentiles(step: Step, steps: int) -> tuple[float, float]:
    """The median and the 99th percentile, in milliseconds, after a tenth as many that do not count."""
    times = []
    for i in range(steps + steps // 10):
        begun = time.perf_counter_ns()
        step()
        if i >= steps // 10:
            times.append(time.perf_counter_ns() - begun)
    p50, p99 = np.percentile(times, [50, 99]) / 1e6
    return float(p50), float(p99)


def random_feeds(engine: Engine, seed: int = 0) -> Arrays:
    """Plausible input for everything but the state."""
    rng = np.random.default_rng(seed)
    feeds = {}
    for name, (shape, dtype) in engine.inputs.items():
        if dtype == np.uint8:
            feeds[name] = rng.integers(0, 256, shape, np.uint8)
        elif not name.startswith("state_"):
            feeds[name] = (
                rng.random(shape) if name.endswith("valid") else rng.standard_normal(shape)
            ).astype(dtype)
    return feeds


def stepping(engine: Engine) -> Step:
    """One step after the other, the state of each into the next."""
    feeds, state = random_feeds(engine), zero_state(engine)

    def step() -> None:
        nonlocal state
        state = next_state(engine.run({**feeds, **state}))

    return step


def torch_steps(name: str, batch: int) -> Iterator[tuple[str, Step]]:
    """The network itself on the GPU.  Nothing where torch is missing or sees no GPU."""
    try:
        import torch
    except ImportError:
        return
    if not torch.cuda.is_available():
        return
    from engines.speech import export
    from engines.speech.model import Size
    from engines.speech.vocabulary import TOKENS

    size, device = Size(tokens=len(TOKENS)), torch.device("cuda")
    network = export.NETWORKS[name](size).eval().to(device)
    host = {k: v.repeat(batch, *[1] * (v.ndim - 1)) for k, v in export.example_inputs(name, size, 0).items()}
    compiled = torch.compile(network, mode="reduce-overhead", dynamic=False)
    for how, module in (("torch eager", network), ("torch.compile", compiled)):
        for precision, cast in (("float32", False), ("float16", True)):
            yield f"{how} {precision}", _torch_step(torch, module, network, host, batch, cast)


def _torch_step(torch: Any, module: Any, network: Any, host: dict[str, Any], batch: int, cast: bool) -> Step:
    state = network.initial(batch, torch.device("cuda"))

    def step() -> None:
        nonlocal state
        torch.compiler.cudagraph_mark_step_begin()
        with torch.inference_mode(), torch.autocast("cuda", torch.float16, enabled=cast):
            outputs, new = module(*(value.to("cuda") for value in host.values()), state)
            # A compiled graph's outputs are overwritten by its next run.
            state = {key: value.clone() for key, value in new.items()}
            for value in outputs.values():
                value.cpu()

    return step


def bandwidth() -> float:
    """Bytes a second that the device's memory moves, read and written counted both."""
    stream = Stream()
    one, other = (Buffer((COPIED,), np.dtype(np.uint8), host=False) for _ in range(2))

    def copy() -> None:
        for _ in range(10):
            other.copy_from(one, stream)
        stream.wait()

    milliseconds, _ = percentiles(copy, 20)
    for buffer in (one, other):
        buffer.free()
    stream.free()
    return 10 * 2 * COPIED / (milliseconds / 1e3)


def traffic(model: Path, engine: Engine, precision: str) -> int:
    """Bytes that a step cannot help moving: each weight once, the state in and out, inputs and outputs."""
    weights = sum(int(np.prod(tensor.dims)) for tensor in read_model(model).graph.initializer)
    specs = (*engine.inputs.values(), *engine.outputs.values())
    arrays = sum(int(np.prod(shape)) * dtype.itemsize for shape, dtype in specs)
    return weights * WIDTHS[precision] + arrays


def processor_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "processor"


def device_name() -> str:
    return bytes(call("GetDeviceProperties", 0).name).split(b"\0")[0].decode()


def rows(
    model: Path, batch: int, steps: int, bytes_a_second: float | None, console: Console
) -> Iterator[list[str]]:
    try:
        plain = OnnxRuntimeEngine(model, batch)
        if batch != 1 and next(iter(plain.inputs.values()))[0][0] != batch:
            raise ModelError(f"{model}: takes one stream only, not {batch}; export it again for more")
    except ModelError as error:
        console.print(f"not measured: {error}")
        return
    yield ["onnxruntime float32", *_shown(percentiles(stepping(plain), max(steps // 5, 20))), "", ""]
    if bytes_a_second is None:
        return
    for precision in WIDTHS:
        floor = traffic(model, plain, precision) / bytes_a_second * 1e3
        wanted = Wanted(model, precision, f"sm_{find_capability()}", batch)
        try:
            engine = load_plan(wanted, build(wanted).plan, plain)
            error = golden_error(engine, golden_path(model))
            times = _shown(percentiles(stepping(engine), steps))
            yield [f"{engine.backend} {precision}", *times, f"{floor:.4f}", f"{error:.1e}"]
        except ModelError as error:
            console.print(f"not measured: {model.stem}, batch {batch}, TensorRT {precision}: {error}")
            yield [f"floor {precision}", "", "", f"{floor:.4f}", ""]
    if model.stem in NETWORKS:
        for name, step in torch_steps(model.stem, batch):
            try:
                yield [name, *_shown(percentiles(step, steps)), "", ""]
            except RuntimeError as error:
                console.print(f"not measured: {model.stem}, {name}: {str(error).splitlines()[0][:160]}")


def _shown(times: Sequence[float]) -> list[str]:
    return [f"{ms:.3f}" for ms in times]


def main(
    weights: Annotated[Path, typer.Option(help="folder of the speech engines")] = WEIGHTS,
    batches: Annotated[str, typer.Option(help="streams in a step, several with commas")] = "1,16",
    steps: Annotated[int, typer.Option(help="on the GPU; a fifth of it on the processor", min=20)] = 500,
) -> None:
    console = Console(width=108)
    moved = bandwidth() if find_capability() is not None else None
    where = f"{device_name()}, {moved / 1e9:.0f} GB/s" if moved else "no GPU, so the processor only"
    console.print(f"{processor_name()}; {where}")
    for batch in (int(text) for text in batches.split(",")):
        table = Table("engine", "by", "p50 ms", "p99 ms", "floor ms", "golden", title=f"{batch} in a step")
        for model in sorted(weights.glob("*.onnx")):
            for row in rows(model, batch, steps, moved, console):
                table.add_row(model.stem, *row)
        console.print(table)


if __name__ == "__main__":
    command(main)
