"""Trained networks to engines: ``python -m engines.speech.export WORK OUT``.

Each network becomes an ONNX file of one step (one chunk, of as many streams as its axis ``batch`` is given)
with its state as ``state_*`` inputs and ``next_*`` outputs, and a golden file of three consecutive steps'
last one.  Weights are rounded to float16, which halves the file; the step still computes in float32.
"""

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import onnx
import torch
import typer
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from engines.command import command
from engines.engine import BATCH, Arrays, next_state, open_engine, zero_state
from engines.speech.fusion import Fusion, fusion_of
from engines.speech.model import CHUNK, Audio, Size, State, Video
from engines.speech.vocabulary import TOKENS
from engines.variant import LARGEST_BATCH

OPSET = 18
NETWORKS: dict[str, type[nn.Module]] = {"audio": Audio, "video": Video, "fusion": Fusion}
SMALL = 256  # values; smaller tensors stay float32
TOLERANCE = 2e-5


class Step(nn.Module):
    """A network with its dictionaries laid out flat, as an exporter wants them."""

    def __init__(self, network: nn.Module, inputs: list[str], states: list[str], outputs: list[str]) -> None:
        super().__init__()
        self.network, self.inputs, self.states, self.outputs = network, inputs, states, outputs

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        count = len(self.inputs)
        state: State = dict(zip(self.states, values[count:], strict=True))
        outputs, new = self.network(*values[:count], state)
        return tuple(outputs[name] for name in self.outputs) + tuple(new[name] for name in self.states)


def example_inputs(name: str, size: Size, seed: int) -> dict[str, Tensor]:
    """One chunk of plausible input, the same for the same seed."""
    g = torch.Generator().manual_seed(seed)
    if name == "audio":
        return {"features": torch.randn(1, 4 * CHUNK, size.bands, generator=g)}
    if name == "video":
        mouths = torch.randint(0, 256, (1, CHUNK, size.mouth, size.mouth), generator=g, dtype=torch.uint8)
        return {"mouths": mouths, "valid": torch.tensor([[1.0, 0.0, 0.8, 1.0]])}
    encodings = torch.randn(2, 1, CHUNK, size.width, generator=g)
    return {
        "audio": encodings[0],
        "video": encodings[1],
        "audio_valid": torch.tensor([[1.0, 1.0, 1.0, 0.0]]),
        "video_valid": torch.tensor([[1.0, 0.0, 0.7, 1.0]]),
    }


def fold_norms(network: nn.Module) -> None:
    """Batch norms become part of the convolution before them, so that what is rounded is what the step
    uses."""
    for module in network.modules():
        for name, norm in list(module.named_children()):
            if isinstance(norm, nn.BatchNorm2d | nn.BatchNorm3d):
                before = "0" if name == "1" else name.removesuffix("_norm")
                fused = nn.utils.fusion.fuse_conv_bn_eval(getattr(module, before), norm)
                setattr(module, before, fused)
                setattr(module, name, nn.Identity())


def halve_weights(model: onnx.ModelProto) -> None:
    """Large float32 tensors are kept as float16 and cast on load (onnxruntime folds the casts away)."""
    graph = model.graph
    casts = []
    for tensor in list(graph.initializer):
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < SMALL:
            continue
        halved = values.astype(np.float16)
        if not np.array_equal(halved.astype(np.float32), values):
            continue  # a folded product, not a weight as it was trained: rounding it would change the step
        graph.initializer.remove(tensor)
        graph.initializer.append(numpy_helper.from_array(halved, tensor.name + "_half"))
        casts.append(helper.make_node("Cast", [tensor.name + "_half"], [tensor.name], to=TensorProto.FLOAT))
    for cast in reversed(casts):
        graph.node.insert(0, cast)


def export(name: str, network: nn.Module, folder: Path) -> str:
    """Writes folder/NAME.onnx and NAME.golden.npz; returns a line on what was written.

    Raises ValueError where onnxruntime does not reproduce torch to 2e-5 over three steps.
    """
    network = network.cpu().eval()
    fold_norms(network)
    size: Size = network.size  # type: ignore[assignment]
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(parameter.half().float())
    state = network.initial(1, torch.device("cpu"))  # type: ignore[operator]
    inputs = example_inputs(name, size, 0)
    with torch.no_grad():
        outputs, _ = network(*inputs.values(), state)
    step = Step(network, list(inputs), list(state), list(outputs)).eval()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.onnx"
    with tempfile.TemporaryDirectory() as scratch:
        raw = Path(scratch) / "raw.onnx"
        # Two streams, so that torch does not take the batch for a constant 1.
        two = tuple(torch.cat([value, value]) for value in (*inputs.values(), *state.values()))
        torch.onnx.export(
            step,
            two,
            str(raw),
            input_names=[*inputs, *(f"state_{k}" for k in state)],
            output_names=[*outputs, *(f"next_{k}" for k in state)],
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes=(tuple({0: torch.export.Dim(BATCH, max=LARGEST_BATCH)} for _ in two),),
            external_data=False,
            verbose=False,
        )
        model = onnx.load(str(raw))
    halve_weights(model)
    helper.set_model_props(model, {"tokens": json.dumps(TOKENS), "chunk_frames": str(CHUNK), "name": name})
    model.producer_name = "hearsee"
    model.graph.ClearField("value_info")
    for node in model.graph.node:
        node.doc_string = ""
        node.ClearField("metadata_props")
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    worst = golden(name, network, path)
    if worst > TOLERANCE:
        raise ValueError(f"{path}: onnxruntime differs from torch by {worst:.1e}, more than {TOLERANCE:.0e}")
    return f"{path}: {path.stat().st_size / 1e6:.2f} MB, differs from torch by {worst:.1e}"


def golden(name: str, network: nn.Module, path: Path) -> float:
    """Writes the golden file (torch's own numbers) and returns how far onnxruntime is from it, over three
    steps."""
    engine = open_engine(path)
    state: State = network.initial(1, torch.device("cpu"))  # type: ignore[operator]
    arrays: Arrays = zero_state(engine)
    worst, record = 0.0, {}
    for seed in range(3):
        inputs = example_inputs(name, network.size, seed)  # type: ignore[arg-type]
        feeds = {**{k: v.numpy() for k, v in inputs.items()}, **arrays}
        with torch.no_grad():
            outputs, new = network(*inputs.values(), state)
        expected = {**outputs, **{f"next_{k}": v for k, v in new.items()}}
        got = engine.run(feeds)
        worst = max(worst, *(float(np.abs(got[k] - v.numpy()).max()) for k, v in expected.items()))
        record = {
            **{f"in.{k}": v for k, v in feeds.items()},
            **{f"out.{k}": v.numpy() for k, v in expected.items()},
        }
        state, arrays = new, next_state(got)
    # Large states would make the golden file larger than the model: the words, voice and encodings tell
    # enough.
    kept = {k: v for k, v in record.items() if not k.startswith("out.next_") or v.size < 20_000}
    np.savez_compressed(path.with_suffix(".golden.npz"), **kept)  # type: ignore[arg-type]
    return worst


def export_all(work: Path, out: Path) -> None:
    """Export every trained network that ``work`` holds as NAME.weights.pt, and say so."""
    for name, network in NETWORKS.items():
        weights = work / f"{name}.weights.pt"
        if weights.exists():
            state = torch.load(weights, map_location="cpu", weights_only=True)
            size = Size(tokens=len(TOKENS))
            model = network(replace(size, fusion=fusion_of(state)) if name == "fusion" else size)
            model.load_state_dict(state)
            print(export(name, model, out))


def main(
    work: Annotated[Path, typer.Argument(help="where train.py left NAME.weights.pt")],
    out: Annotated[Path, typer.Argument(help="where the engines go")] = Path("engines/speech/weights"),
) -> None:
    """Export every trained network that WORK holds."""
    export_all(work, out)


if __name__ == "__main__":
    command(main)
