"""An ONNX step with 8-bit matrix products, for processors: weights ahead of time, activations as they come.

Weights are unsigned: where a processor has no VNNI, a signed one times an unsigned activation saturates in 16
bits, which changes tokens.  Convolutions stay float32: onnxruntime's 8-bit ones are
slower (docs/engines.md has the figures).
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from engines.half import widen_weights


def quantise(
    model: onnx.ModelProto,
    operators: Sequence[str] = ("MatMul",),
    weights: QuantType = QuantType.QUInt8,
) -> onnx.ModelProto:
    """The model with these operators in int8 (a scale for each output channel); the rest stays float32.

    Other operators and signed weights are for ``benchmarks.int8``, which shows why not.
    """
    widen_weights(model)
    with tempfile.TemporaryDirectory() as scratch:
        whole, small = Path(scratch) / "whole.onnx", Path(scratch) / "small.onnx"
        onnx.save(model, str(whole))
        quantize_dynamic(
            whole, small, op_types_to_quantize=list(operators), per_channel=True, weight_type=weights
        )
        quantised = onnx.load(str(small))
    quantised.ClearField("metadata_props")
    quantised.metadata_props.extend(model.metadata_props)
    return quantised
