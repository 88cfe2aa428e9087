"""Which TensorRT is installed: that of data centres and Jetsons, or TensorRT-RTX; one interface has both."""

import importlib
from dataclasses import dataclass
from functools import cache
from typing import Any

from engines.engine import ModelError

NAMES = ("tensorrt", "tensorrt_rtx")


@dataclass(frozen=True)
class Library:
    """name: of the Python package; version: its own; trt: the module."""

    name: str
    version: str
    trt: Any


@cache
def find_library() -> Library:
    """The first of NAMES that can be imported.  Raises ModelError where none is."""
    for name in NAMES:
        try:
            trt = importlib.import_module(name)
        except (ImportError, OSError, RuntimeError):  # absent, or its libraries do not load on this machine
            continue
        return Library(name, trt.__version__, trt)
    raise ModelError("no TensorRT here: pip install tensorrt-rtx-cu13 (RTX), or tensorrt (data centre)")
