"""One engine on one stream of chunks: the engine with its state."""

from collections.abc import Mapping
from copy import copy
from pathlib import Path

import numpy as np

from engines.engine import Arrays, Engine, ModelError, Opener, Spec, next_state, open_engine, zero_state

Shapes = Mapping[str, tuple[int, ...]]


class Stream:
    """``run`` step after step; ``reset`` forgets what came before.

    inputs: the shapes of what it will be given, float32, uint8 for those in ``pictures``, int64 for those in
    ``indices``.  Raises ModelError where the model at ``path`` takes anything else.
    """

    def __init__(
        self,
        path: Path,
        inputs: Shapes,
        pictures: frozenset[str] | set[str] = frozenset(),
        indices: frozenset[str] | set[str] = frozenset(),
        opener: Opener = open_engine,
    ) -> None:
        kinds = dict.fromkeys(pictures, np.uint8) | dict.fromkeys(indices, np.int64)
        require: Spec = {
            name: (shape, np.dtype(kinds.get(name, np.float32))) for name, shape in inputs.items()
        }
        self.path = path
        self._engine: Engine = opener(path, require)
        unknown = [n for n in self._engine.inputs if n not in inputs and not n.startswith("state_")]
        if unknown:
            raise ModelError(f"{path}: takes {unknown[0]}, which nothing gives it; wrong model file")
        self.metadata = self._engine.metadata
        self.temperature = self.number("temperature", 1.0, 0.01, 100.0)
        self.reset()

    def reset(self) -> None:
        self._state = zero_state(self._engine)

    def run(self, feeds: Arrays) -> Arrays:
        outputs = self._engine.run({**feeds, **self._state})
        self._state = next_state(outputs)
        return outputs

    def fork(self) -> "Stream":
        """The same model, loaded once, for another stream of chunks, which starts anew."""
        twin = copy(self)
        twin.reset()
        return twin

    def shape(self, output: str) -> tuple[int, ...]:
        if output not in self._engine.outputs:
            raise ModelError(f"{self.path}: has no output {output}; wrong model file")
        return self._engine.outputs[output][0]

    def give(self, outputs: Shapes) -> None:
        """Raises ModelError unless these outputs have these shapes."""
        for name, shape in outputs.items():
            if self.shape(name) != shape:
                raise ModelError(
                    f"{self.path}: output {name} must be {list(shape)}, is {list(self.shape(name))}; "
                    "wrong model file"
                )

    def number(self, name: str, otherwise: float, least: float, most: float) -> float:
        """What its metadata says under ``name``; ``otherwise`` where it says nothing.

        Raises ModelError where that is no number from ``least`` to ``most``.
        """
        text = self.metadata.get(name, str(otherwise))
        try:
            found = float(text)
        except ValueError:
            found = float("nan")
        if not least <= found <= most:
            raise ModelError(f"{self.path}: its metadata has {name} {text[:40]!r}, no number; re-export it")
        return found
