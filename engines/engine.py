"""One small interface to a compiled model: arrays in, arrays out.

A model is an ONNX file that computes one step with fixed shapes.  Streaming state is explicit: for each input
named ``state_x`` there is an output ``next_x`` of the same shape and dtype.  Beside ``model.onnx`` lie
``model.golden.npz`` (inputs as ``in.NAME``, expected outputs as ``out.NAME``) and a model card ``model.md``.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime as ort

from nodes.runtime.errors import UserError

Arrays = dict[str, np.ndarray]
Spec = dict[str, tuple[tuple[int, ...], np.dtype[Any]]]

BATCH = "batch"
"""What a model calls its first axis where it may be of any length."""

_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}


class ModelError(UserError):
    """One line that names the model file, what is wrong with it, and the remedy."""


class Engine(Protocol):
    """``inputs`` and ``outputs`` give shape and dtype by name; ``metadata`` is the file's key-value text."""

    backend: str
    inputs: Spec
    outputs: Spec
    metadata: dict[str, str]

    def run(self, feeds: Arrays) -> Arrays:
        """Compute one step.  Raises ModelError where a name, shape or dtype is not the model's."""
        ...


class RowEngine(Engine, Protocol):
    """An engine for several streams, a row of every array each."""

    path: Path

    def run_rows(self, feeds: Arrays, rows: Sequence[int]) -> Arrays:
        """``run`` for some rows: the others' state stays, their other outputs mean nothing."""
        ...


class OnnxRuntimeEngine:
    """onnxruntime on the CPU, one thread: a step is too short to share, and spinning costs a core.

    batch: streams a step is for, where the model has a batch axis.
    variant: the model in another form, as the bytes of an ONNX file, in place of what is at ``path``.
    """

    backend = "onnxruntime"

    def __init__(self, path: Path, batch: int = 1, variant: bytes | None = None) -> None:
        self.path = path
        if not path.is_file():
            raise ModelError(f"{path}: no such model file; see `python launch.py doctor`")
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        options.add_free_dimension_override_by_name(BATCH, batch)
        try:
            self._session = ort.InferenceSession(
                variant or str(path), options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
            inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
            self.metadata = dict(self._session.get_modelmeta().custom_metadata_map)
        except (
            Exception
        ) as error:  # onnxruntime raises its own unrelated classes, all of them about this file
            reason = str(error).splitlines()[0][:200]
            raise ModelError(
                f"{path}: not a model onnxruntime can load ({reason}); restore the file"
            ) from error
        self.inputs = self._spec(inputs)
        self.outputs = self._spec(outputs)
        for name, spec in self.inputs.items():
            if name.startswith("state_") and self.outputs.get("next_" + name[6:]) != spec:
                raise ModelError(
                    f"{path}: state {name} has no output next_{name[6:]} of the same shape; re-export it"
                )

    def _spec(self, values: list[Any]) -> Spec:
        spec: Spec = {}
        for value in values:
            if value.type not in _DTYPES or not all(isinstance(n, int) for n in value.shape):
                raise ModelError(
                    f"{self.path}: {value.name} is {value.type} {value.shape}; steps have fixed shapes"
                )
            spec[value.name] = (tuple(value.shape), np.dtype(_DTYPES[value.type]))
        return spec

    def run(self, feeds: Arrays) -> Arrays:
        check(feeds, self.inputs, self.path)
        names = list(self.outputs)
        try:
            return dict(zip(names, self._session.run(names, feeds), strict=True))
        except Exception as error:  # its classes again
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"{self.path}: cannot be run ({reason}); restore the file") from error

    def run_rows(self, feeds: Arrays, rows: Sequence[int]) -> Arrays:
        """``run`` for some rows of the batch: the others' state stays, their other outputs mean nothing."""
        outputs, chosen = self.run(feeds), list(rows)
        for name, new in next_state(outputs).items():
            kept = feeds[name].copy()
            kept[chosen] = new[chosen]
            outputs["next_" + name[6:]] = kept
        return outputs


class Opener(Protocol):
    """What ``open_engine`` is, and what may stand in for it."""

    def __call__(self, path: Path, require: Spec | None = None) -> Engine: ...


def check(arrays: Arrays, spec: Spec, path: Path) -> None:
    """Raises ModelError unless ``arrays`` are exactly the names, shapes and dtypes of ``spec``."""
    if arrays.keys() != spec.keys():
        raise ModelError(f"{path}: takes {sorted(spec)}, was given {sorted(arrays)}")
    for name, (shape, dtype) in spec.items():
        given = arrays[name]
        if given.shape != shape or given.dtype != dtype:
            raise ModelError(
                f"{path}: {name} is {dtype}{list(shape)}, was given {given.dtype}{list(given.shape)}"
            )


def zero_state(engine: Engine) -> Arrays:
    """The state before the first chunk: zeros, by input name."""
    return {name: np.zeros(*spec) for name, spec in engine.inputs.items() if name.startswith("state_")}


def next_state(outputs: Arrays) -> Arrays:
    """The state for the following step out of this step's outputs."""
    return {"state_" + name[5:]: value for name, value in outputs.items() if name.startswith("next_")}


def open_engine(path: Path, require: Spec | None = None) -> Engine:
    """The fastest engine this machine has for the model.

    require: inputs the caller will feed; ModelError where they differ: a swapped file is refused at start.
    """
    engine = OnnxRuntimeEngine(path)
    for name, wanted in (require or {}).items():
        if engine.inputs.get(name) != wanted:
            found = engine.inputs.get(name)
            shape = f"{found[1]}{list(found[0])}" if found else "missing"
            raise ModelError(
                f"{path}: input {name} must be {wanted[1]}{list(wanted[0])}, is {shape}; wrong model file"
            )
    return engine
