"""An ONNX step with 8-bit matrix products, for processors: weights ahead of time, activations as they come.

Weights are unsigned: where a processor has no VNNI, a signed one times an unsigned activation saturates in 16
bits, which changes nine tokens in a thousand here.  Convolutions stay float32: onnxruntime's 8-bit ones are
slower (docs/engines.md has the figures).
"""

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
            whole, small, op_types_to_quantize=["MatMul"], per_channel=True, weight_type=QuantType.QUInt8
        )
        quantised = onnx.load(str(small))
    quantised.ClearField("metadata_props")
    quantised.metadata_props.extend(model.metadata_props)
    return quantised
