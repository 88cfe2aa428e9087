"""An ONNX file of somebody else's making, with free batch axes: what ``engines.engine`` is for our own steps.

On the processor, one thread, no spinning.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from engines.engine import ModelError

_DTYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64}
_AT_MOST = 64 * 2**20  # numbers in one tensor of zeros


class Net:
    """inputs: what onnxruntime tells of each by name.  outputs: names.

    Raises ModelError where the file is missing or cannot be loaded.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise ModelError(f"{path}: no such model file; see `python launch.py models list`")
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4
        try:
            self._session = ort.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
            self.inputs = {value.name: value for value in self._session.get_inputs()}
            self.outputs = [value.name for value in self._session.get_outputs()]
            self._metadata = self._session.get_modelmeta().custom_metadata_map
        except Exception as error:  # onnxruntime raises its own unrelated classes
            reason = str(error).splitlines()[0][:200]
            raise ModelError(f"{path}: not a model onnxruntime can load ({reason}); pull it again") from error

    def number(self, key: str) -> int:
        """A positive number in the file's metadata.  Raises ModelError where there is none."""
        text = self._metadata.get(key, "")
        if not text.isdecimal() or len(text) > 4 or not int(text):
            raise ModelError(f"{self.path}: its metadata has no number {key}; not an export of icefall")
        return int(text)

    def expect(self, inputs: list[str], outputs: list[str]) -> None:
        """Raises ModelError unless these come first."""
        if list(self.inputs)[: len(inputs)] != inputs or self.outputs[: len(outputs)] != outputs:
            raise ModelError(
                f"{self.path}: takes {list(self.inputs)[:2]} and gives {self.outputs[:1]}, "
                f"not {inputs} and {outputs}; another model's export"
            )

    def zeros(self, name: str) -> NDArray[Any]:
        """For one stream: axes without a length are the batch."""
        value = self.inputs[name]
        shape = [n if isinstance(n, int) else 1 for n in value.shape]
        if value.type not in _DTYPES or not 0 < np.prod(shape, dtype=object) <= _AT_MOST:
            raise ModelError(f"{self.path}: {name} is {value.type} {value.shape}; another model's export")
        return np.zeros(shape, _DTYPES[value.type])

    def run(self, feeds: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """All outputs in their order.  Raises ModelError where the feeds do not fit or the model fails."""
        try:
            outputs: list[NDArray[Any]] = self._session.run(None, feeds)
        except Exception as error:  # onnxruntime raises its own unrelated classes
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"{self.path}: cannot be run ({reason}); pull it again") from error
        return outputs
