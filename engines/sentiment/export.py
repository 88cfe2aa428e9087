"""A trained expert, or the fusion, as the files the pipeline loads: an ONNX step and its golden file.

Weights are rounded to float16, which halves the file; the step still computes in float32.
"""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper
from torch import Tensor, nn

from engines.engine import Arrays, next_state, open_engine, zero_state
from engines.golden import golden_path
from engines.speech.export import OPSET, fold_norms, halve_weights

Tensors = dict[str, Tensor]
TOLERANCE = 1e-4
STEPS = 3


class Step(nn.Module):
    """A network with its dictionaries laid out flat, as an exporter wants them; its state comes last."""

    def __init__(self, network: nn.Module, inputs: list[str], states: list[str]) -> None:
        super().__init__()
        self.network, self.inputs, self.states = network, inputs, states

    def both(self, *values: Tensor) -> tuple[Tensors, Tensors]:
        count = len(self.inputs)
        if not self.states:
            return self.network(*values), {}
        outputs, new = self.network(*values[:count], dict(zip(self.states, values[count:], strict=True)))
        return outputs, new

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        outputs, new = self.both(*values)
        return (*outputs.values(), *(new[name] for name in self.states))


def export(
    network: nn.Module,
    path: Path,
    example: Callable[[int], Tensors],
    state: Tensors,
    temperature: float,
    metadata: Mapping[str, str] | None = None,
) -> str:
    """Writes ``path`` (.onnx) and its golden file; returns a line on what was written.

    network: called with the inputs in order gives a dict of outputs; with state, ``(outputs, new state)``,
    the state being its last argument.
    example: inputs of one step by name, the same for the same seed.  state: before the first step, {} for
    none.  Raises ValueError where onnxruntime does not reproduce torch over three steps.
    """
    network = network.cpu().eval()
    fold_norms(network)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(parameter.half().float())
    inputs = example(0)
    step = Step(network, list(inputs), list(state)).eval()
    with torch.no_grad():
        outputs, _ = step.both(*inputs.values(), *state.values())
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        raw = Path(scratch) / "raw.onnx"
        torch.onnx.export(
            step,
            (*inputs.values(), *state.values()),
            str(raw),
            input_names=[*inputs, *(f"state_{k}" for k in state)],
            output_names=[*outputs, *(f"next_{k}" for k in state)],
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        model = onnx.load(str(raw))
    halve_weights(model)
    helper.set_model_props(
        model, {"name": path.stem, "temperature": f"{temperature:.4f}", **(metadata or {})}
    )
    model.producer_name = "hearsee"
    model.graph.ClearField("value_info")
    for node in model.graph.node:
        node.doc_string = ""
        node.ClearField("metadata_props")
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    worst = _golden(step, path, example, state)
    if worst > TOLERANCE:
        raise ValueError(f"{path}: onnxruntime differs from torch by {worst:.1e}, more than {TOLERANCE:.0e}")
    return f"{path}: {path.stat().st_size / 1e6:.2f} MB, differs from torch by {worst:.1e}"


def _golden(step: Step, path: Path, example: Callable[[int], Tensors], state: Tensors) -> float:
    """Writes the golden file, torch's own numbers for the last of three steps in a row; returns how far
    onnxruntime is from them over all three."""
    engine = open_engine(path)
    arrays: Arrays = zero_state(engine)
    worst, record = 0.0, {}
    for seed in range(STEPS):
        inputs = example(seed)
        feeds = {**{name: value.numpy() for name, value in inputs.items()}, **arrays}
        with torch.no_grad():
            outputs, state = step.both(*inputs.values(), *state.values())
        expected = {**outputs, **{f"next_{name}": value for name, value in state.items()}}
        got = engine.run(feeds)
        worst = max(
            worst, *(float(np.abs(got[name] - value.numpy()).max()) for name, value in expected.items())
        )
        record = {f"in.{name}": value for name, value in feeds.items()}
        record |= {f"out.{name}": value.numpy() for name, value in expected.items()}
        arrays = next_state(got)
    np.savez_compressed(golden_path(path), **record)  # type: ignore[arg-type]
    return worst
