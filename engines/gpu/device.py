"""The CUDA device: memory taken once, one stream, a recorded graph.  Through cuda-python; no torch."""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from engines.engine import ModelError

DEVICE = 0


class DeviceError(ModelError):
    """The device refused; what was on it may be lost."""


def _cudart() -> Any:
    from cuda.bindings import runtime

    return runtime


def call(function: str, *arguments: Any) -> Any:
    """``cudaFUNCTION(*arguments)``: its result, a tuple where there are several.  Raises DeviceError."""
    error, *results = getattr(_cudart(), f"cuda{function}")(*arguments)
    if int(error) != 0:
        raise DeviceError(f"GPU: cuda{function} failed ({error.name}); see nvidia-smi")
    return results[0] if len(results) == 1 else tuple(results)


def find_capability() -> int | None:
    """The compute capability of this machine's GPU, 89 for 8.9; None where there is none that can be used."""
    try:
        attribute = _cudart().cudaDeviceAttr
        if call("GetDeviceCount") < 1:
            return None
        major = call("DeviceGetAttribute", attribute.cudaDevAttrComputeCapabilityMajor, DEVICE)
        minor = call("DeviceGetAttribute", attribute.cudaDevAttrComputeCapabilityMinor, DEVICE)
    except (ImportError, OSError, RuntimeError, DeviceError):  # no cuda-python, no driver, no GPU
        return None
    return int(10 * major + minor)


class Buffer:
    """Memory at ``pointer`` and, where ``host``, an ``array`` of the same size in page-locked memory."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any], host: bool = True) -> None:
        self.shape, self.dtype = shape, dtype
        self.bytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        self.pointer: int = call("Malloc", self.bytes)
        self._host: int | None = None
        if host:
            self._host = call("MallocHost", self.bytes)
            block = (ctypes.c_byte * self.bytes).from_address(self._host)
            self.array = np.frombuffer(memoryview(block), dtype).reshape(shape)
            self.array[...] = np.zeros((), dtype)

    def upload(self, stream: "Stream") -> None:
        """Queues ``array`` to go to the device."""
        kind = _cudart().cudaMemcpyKind.cudaMemcpyHostToDevice
        call("MemcpyAsync", self.pointer, self._host, self.bytes, kind, stream.handle)

    def download(self, stream: "Stream") -> None:
        """Queues the device's memory to come to ``array``."""
        kind = _cudart().cudaMemcpyKind.cudaMemcpyDeviceToHost
        call("MemcpyAsync", self._host, self.pointer, self.bytes, kind, stream.handle)

    def copy_from(self, other: "Buffer", stream: "Stream", row: int | None = None) -> None:
        """Queues a copy on the device of the whole, or of one ``row`` of the first axis."""
        size = self.bytes if row is None else self.bytes // self.shape[0]
        offset = 0 if row is None else row * size
        kind = _cudart().cudaMemcpyKind.cudaMemcpyDeviceToDevice
        call("MemcpyAsync", self.pointer + offset, other.pointer + offset, size, kind, stream.handle)

    def free(self) -> None:
        call("Free", self.pointer)
        if self._host is not None:
            del self.array
            call("FreeHost", self._host)


class Stream:
    """An ordered queue of work on the device."""

    def __init__(self) -> None:
        call("SetDevice", DEVICE)
        self.handle = call("StreamCreateWithFlags", _cudart().cudaStreamNonBlocking)

    def wait(self) -> None:
        call("StreamSynchronize", self.handle)

    def record(self, work: Callable[[], None]) -> "Graph":
        """What ``work`` queues, as a graph that one call launches."""
        with self._capturing() as recorded:
            work()
        return Graph(recorded[0], self)

    @contextmanager
    def _capturing(self) -> Iterator[list[Any]]:
        # Thread-local: another engine may take memory meanwhile, in its own thread.
        mode = _cudart().cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        recorded: list[Any] = []
        call("StreamBeginCapture", self.handle, mode)
        try:
            yield recorded
        finally:
            recorded.append(call("StreamEndCapture", self.handle))

    def free(self) -> None:
        call("StreamDestroy", self.handle)


class Graph:
    def __init__(self, recorded: Any, stream: Stream) -> None:
        self._stream = stream
        self._graph = call("GraphInstantiate", recorded, 0)
        call("GraphDestroy", recorded)

    def launch(self) -> None:
        call("GraphLaunch", self._graph, self._stream.handle)

    def free(self) -> None:
        call("GraphExecDestroy", self._graph)
