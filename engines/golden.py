"""Does an engine reproduce the model's golden file: the outputs its makers saw for the inputs beside them?"""

from pathlib import Path
from typing import Any

import numpy as np

from engines.engine import Arrays, Engine, ModelError

TOLERANCE = 1e-3  # float32 sums in another order, on another processor


def golden_path(model: Path) -> Path:
    return model.with_suffix(".golden.npz")


def golden_error(engine: Engine, golden: Path) -> float:
    """The largest absolute difference to any expected output.  ModelError where file or shape do not fit."""
    feeds, expected = _read(golden)
    given = engine.run(
        {name: _for_each_stream(value, engine.inputs.get(name)) for name, value in feeds.items()}
    )
    outputs = {name: np.asarray(value) for name, value in given.items()}
    if missing := expected.keys() - outputs.keys():
        raise ModelError(f"{golden}: the model gives no {', '.join(sorted(missing))}; restore both files")
    worst = 0.0
    for name, one in expected.items():
        value = _for_each_stream(one, engine.outputs[name])
        if outputs[name].shape != value.shape:
            raise ModelError(
                f"{golden}: {name} is {list(value.shape)}, the model gives {list(outputs[name].shape)}"
            )
        difference = np.abs(outputs[name].astype(np.float64) - value.astype(np.float64))
        # A NaN on either side is as far off as can be, where max() would hide it.
        worst = max(worst, float(np.where(np.isnan(difference), np.inf, difference).max(initial=0.0)))
    return worst


def _for_each_stream(value: np.ndarray, spec: tuple[tuple[int, ...], Any] | None) -> np.ndarray:
    """The same in every row, for an engine that serves several streams."""
    rows = spec[0][0] if spec and len(spec[0]) == value.ndim > 0 and value.shape[0] == 1 else 1
    return np.repeat(value, rows, axis=0) if rows > 1 else value


def _read(golden: Path) -> tuple[Arrays, Arrays]:
    try:
        with np.load(golden, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # numpy and zipfile raise anything on bytes that are not theirs
        raise ModelError(f"{golden}: no golden file, or damaged; restore it") from error
    for name, value in arrays.items():
        # What does not begin as an array does comes as its bytes.
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
            raise ModelError(f"{golden}: {name[:80]!r} is no array of numbers; restore it")
    feeds = {name[3:]: value for name, value in arrays.items() if name.startswith("in.")}
    expected = {name[4:]: value for name, value in arrays.items() if name.startswith("out.")}
    if not expected:
        raise ModelError(f"{golden}: expects no output, so it proves nothing; export the model again")
    return feeds, expected
