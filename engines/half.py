"""An ONNX step in float16, for strongly typed compilers, which choose no precision of their own.

Products and what lies between them are float16.  Normalisations, softmaxes and the arithmetic they are made
of stay float32 (Micikevicius et al., Mixed Precision Training, 2018), and so do inputs, outputs and with them
the state: a stream may change from one engine to another between two steps.
"""

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

# Sums of squares of pictures pass 65504, and a mean of many float16 is a mean of what was left of them.
KEPT_FLOAT32 = (
    "LayerNormalization",
    "Softmax",
    "LogSoftmax",
    "ReduceLogSumExp",
    "ReduceMean",
    "ReduceSum",
    "ReduceL2",
    "Pow",
    "Sqrt",
    "Sub",
    "Div",
    "Clip",
    "Resize",
)


def widen_weights(model: onnx.ModelProto) -> None:
    """Weights kept as float16 with a Cast behind each become plain float32 initializers again."""
    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for node in list(graph.node):
        half = stored.get(node.input[0]) if node.op_type == "Cast" else None
        if half is None or half.data_type != TensorProto.FLOAT16:
            continue
        wide = numpy_helper.to_array(half).astype(np.float32)
        graph.initializer.remove(half)
        graph.initializer.append(numpy_helper.from_array(wide, node.output[0]))
        graph.node.remove(node)


def halve(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model in float16, in place of nothing: the argument is used up."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    widen_weights(model)
    halved = convert_float_to_float16(model, keep_io_types=True, op_block_list=list(KEPT_FLOAT32))
    write_casts_once(halved)
    return halved


def write_casts_once(model: onnx.ModelProto) -> None:
    """onnxruntime up to 1.30 writes a Cast once for each of its readers, which TensorRT's parser refuses."""
    made: set[str] = set()
    for node in list(model.graph.node):
        if node.op_type == "Cast" and node.output[0] in made:
            model.graph.node.remove(node)
        made.update(node.output)
