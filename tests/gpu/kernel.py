"""Stands where TensorRT stands, with one kernel of our own: the engine of ``tests.engines.leaky``.

What TensorRT computes is for ``test_engine``.  With this, everything around it runs on any NVIDIA GPU, also
on one that the TensorRT at hand does not know: memory, copies, the recorded graph, state on the device.
"""

import ctypes
from types import SimpleNamespace

import numpy as np

from engines.gpu.library import Library
from tests.engines.leaky import WIDTH

# y = next = 0.5 state + x, one thread for each of n values; the driver compiles it for the GPU it finds.
LEAKY = b"""
.version 6.3
.target sm_75
.address_size 64
.visible .entry leaky(.param .u64 x, .param .u64 state, .param .u64 y, .param .u64 next, .param .u32 n)
{
    .reg .pred %outside;
    .reg .b32 %i, %n;
    .reg .f32 %a, %b;
    .reg .b64 %offset, %from, %to;
    mov.u32 %i, %tid.x;
    ld.param.u32 %n, [n];
    setp.ge.u32 %outside, %i, %n;
    @%outside ret;
    mul.wide.u32 %offset, %i, 4;
    ld.param.u64 %from, [x];
    add.u64 %from, %from, %offset;
    ld.global.f32 %a, [%from];
    ld.param.u64 %from, [state];
    add.u64 %from, %from, %offset;
    ld.global.f32 %b, [%from];
    fma.rn.f32 %a, %b, 0f3F000000, %a;
    ld.param.u64 %to, [y];
    add.u64 %to, %to, %offset;
    st.global.f32 [%to], %a;
    ld.param.u64 %to, [next];
    add.u64 %to, %to, %offset;
    st.global.f32 [%to], %a;
    ret;
}
\0"""


class Leaky:
    """As much of an ``ICudaEngine`` and its context as ``engines.gpu.engine`` asks for."""

    names = ("x", "state_sum", "y", "next_sum")
    num_io_tensors = len(names)

    def __init__(self, plan: bytes) -> None:
        from cuda.bindings import driver

        self._driver = driver
        self._batch = int(plan)
        self._addresses: dict[str, int] = {}
        self._module = self._call("ModuleLoadData", LEAKY)
        self._kernel = self._call("ModuleGetFunction", self._module, b"leaky")

    def _call(self, function, *arguments):
        error, *results = getattr(self._driver, f"cu{function}")(*arguments)
        assert int(error) == 0, f"cu{function}: {error.name}"
        return results[0] if results else None

    def create_execution_context(self):
        return self

    def get_tensor_name(self, i):
        return self.names[i]

    def get_tensor_shape(self, name):
        return (self._batch, WIDTH)

    def get_tensor_dtype(self, name):
        return np.float32

    def set_tensor_address(self, name, pointer):
        self._addresses[name] = pointer

    def execute_async_v3(self, stream):
        n = self._batch * WIDTH
        values = (*(self._addresses[name] for name in self.names), n)
        types = (*[ctypes.c_void_p] * len(self.names), ctypes.c_uint)
        where = self._driver.CUstream(int(stream))
        self._call("LaunchKernel", self._kernel, 1, 1, 1, n, 1, 1, 0, where, (values, types), 0)
        return True


class Logger:
    ERROR = 1

    def __init__(self, least):
        self.least = least


class Runtime:
    def __init__(self, logger):
        self.logger = logger

    def deserialize_cuda_engine(self, plan):
        return Leaky(plan)


LIBRARY = Library("kernel", "1", SimpleNamespace(Logger=Logger, Runtime=Runtime, nptype=lambda dtype: dtype))
