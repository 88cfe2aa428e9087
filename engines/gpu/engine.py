"""A TensorRT plan as an engine: memory taken once, state that stays on the device, a step in one graph.

A step copies its inputs in, computes, moves the new state to where the next step looks for it and copies its
outputs out; all of that is recorded once as a CUDA graph and launched by one call (CUDA C++ Programming
Guide, CUDA Graphs).  Each engine has a stream of its own, so engines do not wait for each other.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast
from weakref import ref

import numpy as np

from engines.engine import Arrays, Engine, ModelError, check
from engines.gpu.device import Buffer, DeviceError, Graph, Stream
from engines.gpu.library import Library

WARM_STEPS = 3  # before recording: TensorRT takes what it needs, TensorRT-RTX compiles its kernels


class Resident:
    """A state that stayed on the device.  Its engine's next step takes it for nothing, and then it is gone.

    Until then it can be read as an array; when another stream's step comes first, it is put away on the host.
    """

    def __init__(self, engine: "TensorRtEngine", name: str, step: int) -> None:
        self.shape, self.dtype = engine.inputs[name]
        self.engine, self.name, self.step = engine, name, step
        self._away: np.ndarray | None = None

    def put_away(self) -> None:
        self._away = self.engine.read_state(self.name, self.step)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Raises ModelError where a step of the engine has taken it."""
        value = self.engine.read_state(self.name, self.step) if self._away is None else self._away
        return value if dtype is None else value.astype(dtype)


class TensorRtEngine:
    """``plan`` for the model that ``like`` runs: its names, shapes and metadata must be the same.

    ``next_*`` outputs are ``Resident``; ``state_*`` inputs may be those or arrays.  Not for two threads at
    once.  Raises ModelError where the plan does not load here or is another model's, DeviceError where the
    device fails.
    """

    def __init__(self, library: Library, plan: bytes, like: Engine, path: Path) -> None:
        self.backend = library.name
        self.path = path
        self.inputs, self.outputs, self.metadata = like.inputs, like.outputs, like.metadata
        self._stream = Stream()
        self._context = self._load(library, plan)
        self._check_plan(library)
        self._fed = [name for name in self.inputs if not name.startswith("state_")]
        self._states = [name for name in self.inputs if name.startswith("state_")]
        self._given = [name for name in self.outputs if not name.startswith("next_")]
        self._buffers = {name: Buffer(*spec) for name, spec in self.inputs.items()}
        self._buffers |= {
            name: Buffer(*spec, host=name in self._given) for name, spec in self.outputs.items()
        }
        for name, buffer in self._buffers.items():
            self._context.set_tensor_address(name, buffer.pointer)
        self._step = 0
        self._resident: dict[str, ref[Resident]] = {}
        for _ in range(WARM_STEPS):
            self._compute()
            self._stream.wait()
        self._some = self._stream.record(self._compute)
        self._all = self._stream.record(self._compute_and_move)
        self._clear()
        self._open = True

    def run(self, feeds: Arrays) -> Arrays:
        return self._run(feeds, None)

    def run_rows(self, feeds: Arrays, rows: Sequence[int]) -> Arrays:
        """``run`` for some rows of the batch: the others' state stays, their other outputs mean nothing."""
        return self._run(feeds, rows)

    def _run(self, feeds: Arrays, rows: Sequence[int] | None) -> Arrays:
        check(feeds, self.inputs, self.path)
        for name in self._fed:
            self._buffers[name].array[...] = feeds[name]
        self._put_away(feeds)
        for name in self._states:
            self._take_state(name, feeds[name])
        graph: Graph = self._all if rows is None else self._some
        graph.launch()
        for row in rows or ():
            self._move_state(row)
        self._stream.wait()
        self._step += 1
        outputs: Arrays = {name: self._buffers[name].array.copy() for name in self._given}
        for name in self._states:
            state = Resident(self, name, self._step)
            self._resident[name] = ref(state)
            outputs["next_" + name[6:]] = cast(np.ndarray, state)
        return outputs

    def read_state(self, name: str, step: int) -> np.ndarray:
        if step != self._step:
            raise ModelError(f"{self.path}: {name} of step {step} is gone, the engine is at {self._step}")
        buffer = self._buffers[name]
        buffer.download(self._stream)
        self._stream.wait()
        return buffer.array.copy()

    def close(self) -> None:
        """Gives the device's memory back; the engine cannot be used any more."""
        if not self._open:
            return
        self._open = False
        with suppress(DeviceError):
            self._stream.wait()
            self._some.free()
            self._all.free()
            for buffer in self._buffers.values():
                buffer.free()
            self._stream.free()
        del self._context, self._engine

    def _load(self, library: Library, plan: bytes) -> Any:
        trt = library.trt
        self._logger = trt.Logger(trt.Logger.ERROR)
        self._runtime = trt.Runtime(self._logger)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        context = self._engine.create_execution_context() if self._engine else None
        if context is None:
            raise ModelError(f"{self.path}: its plan does not load on this GPU; it will be built again")
        return context

    def _check_plan(self, library: Library) -> None:
        trt, engine = library.trt, self._engine
        expected = {**self.inputs, **self.outputs}
        names = {engine.get_tensor_name(i) for i in range(engine.num_io_tensors)}
        if names != expected.keys():
            raise ModelError(f"{self.path}: its plan takes and gives {sorted(names)}; it is another model's")
        for name, (shape, dtype) in expected.items():
            found = tuple(engine.get_tensor_shape(name)), np.dtype(trt.nptype(engine.get_tensor_dtype(name)))
            if found != (shape, dtype):
                raise ModelError(
                    f"{self.path}: {name} of its plan is {found[1]}{list(found[0])}; another model's"
                )

    def _compute(self) -> None:
        for name in self._fed:
            self._buffers[name].upload(self._stream)
        if not self._context.execute_async_v3(self._stream.handle):
            raise DeviceError(f"{self.path}: the GPU did not take the step; see nvidia-smi")
        for name in self._given:
            self._buffers[name].download(self._stream)

    def _compute_and_move(self) -> None:
        self._compute()
        self._move_state(None)

    def _move_state(self, row: int | None) -> None:
        for name in self._states:
            self._buffers[name].copy_from(self._buffers["next_" + name[6:]], self._stream, row)

    def _put_away(self, feeds: Arrays) -> None:
        """Saves what is on the device and still wanted, where this step belongs to another stream."""
        for name, kept in self._resident.items():
            state = kept()
            if state is not None and feeds[name] is not state:
                state.put_away()

    def _take_state(self, name: str, value: Any) -> None:
        if isinstance(value, Resident) and value.engine is self and value.step == self._step:
            return
        buffer = self._buffers[name]
        buffer.array[...] = np.asarray(value)
        buffer.upload(self._stream)

    def _clear(self) -> None:
        for name in self._states:
            self._take_state(name, np.zeros(*self.inputs[name]))
        self._stream.wait()
