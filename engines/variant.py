"""A shipped model in another precision or for several streams at once.

The repository holds each model once.  Its variants are made of it when they are needed: the same weights
twice would be twice the size, and could differ.
"""

from pathlib import Path
from typing import Any

from engines.engine import ModelError

PRECISIONS = ("float32", "float16", "int8")
LARGEST_BATCH = 16


def read_model(path: Path) -> Any:
    """The file as an ``onnx.ModelProto``.  Raises ModelError where it is none, or where onnx is missing."""
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise ModelError("other precisions need the package onnx; run: pip install onnx") from error
    try:
        model = onnx.load(str(path))
        onnx.checker.check_model(model)
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such model file; see `python launch.py doctor`") from error
    except (DecodeError, onnx.checker.ValidationError, OSError, ValueError) as error:
        reason = (str(error).splitlines() or [""])[0][:200]
        raise ModelError(f"{path}: no ONNX model ({reason}); restore the file") from error
    return model


def make_variant(path: Path, precision: str, batch: int = 1) -> bytes:
    """The model at ``path`` as the bytes of an ONNX file of fixed shapes.

    precision: "float32", "float16" (see ``engines.half``) or "int8" (``engines.int8``).
    batch: size of the first axis of every input and output, 1 to 16.
    Raises ModelError for a model that has no batch axis where ``batch`` is not 1.
    """
    if not 1 <= batch <= LARGEST_BATCH:
        raise ModelError(f"batch {batch}: give a number of streams from 1 to {LARGEST_BATCH}")
    model = read_model(path)
    fix_batch(model, batch, path)
    if precision == "float16":
        from engines.half import halve

        model = halve(model)
    elif precision == "int8":
        from engines.int8 import quantise

        model = quantise(model)
    elif precision != "float32":
        raise ModelError(f"precision {precision!r}: there are {', '.join(PRECISIONS)}")
    data: bytes = model.SerializeToString()
    return data


def fix_batch(model: Any, batch: int, path: Path) -> None:
    """Gives the named first axis, where inputs and outputs have one, its size."""
    for value in (*model.graph.input, *model.graph.output):
        shape = value.type.tensor_type.shape.dim
        if shape and shape[0].dim_param:
            shape[0].dim_value = batch
        elif batch != 1:
            raise ModelError(f"{path}: takes one stream only, not {batch}; export it again for more")
