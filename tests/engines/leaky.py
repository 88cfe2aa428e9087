"""A small engine with state and a batch axis: next = 0.5 state + x, y = next."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from engines.engine import BATCH, Arrays

WIDTH = 3


def write_leaky(path: Path) -> Path:
    def value(name: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [BATCH, WIDTH])

    half = helper.make_tensor("half", TensorProto.FLOAT, [1], [0.5])
    nodes = [
        helper.make_node("Mul", ["state_sum", "half"], ["left"]),
        helper.make_node("Add", ["left", "x"], ["next_sum"]),
        helper.make_node("Identity", ["next_sum"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "leaky", [value("x"), value("state_sum")], [value("y"), value("next_sum")], [half]
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


def chunk(stream: int, step: int) -> Arrays:
    return {"x": np.random.default_rng([stream, step]).standard_normal((1, WIDTH)).astype(np.float32)}
