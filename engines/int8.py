"""An ONNX step with int8 products, for processors: weights ahead of time, activations as they come."""

import tempfile
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from engines.half import widen_weights


def quantise(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with int8 matrix products (a scale for each output channel); the rest stays float32."""
    widen_weights(model)
    with tempfile.TemporaryDirectory() as scratch:
        whole, small = Path(scratch) / "whole.onnx", Path(scratch) / "small.onnx"
        onnx.save(model, str(whole))
        quantize_dynamic(
            whole, small, op_types_to_quantize=["MatMul"], per_channel=True, weight_type=QuantType.QInt8
        )
        return onnx.load(str(small))
