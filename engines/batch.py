"""Several streams through one engine, a step for all of them at once: for a box that serves many.

A GPU takes hardly longer for sixteen streams than for one.  Who has no chunk in a step rests: its state stays
as it is, on the device where the engine keeps it there.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from engines.engine import Arrays, Engine, ModelError, next_state, zero_state


class RowEngine(Engine, Protocol):
    """An engine of a batch: ``OnnxRuntimeEngine`` and ``TensorRtEngine`` are such."""

    def run_rows(self, feeds: Arrays, rows: Sequence[int]) -> Arrays: ...


class Batch:
    """``join`` gives a stream its row, ``run`` steps those that have a chunk, ``leave`` frees the row."""

    def __init__(self, engine: RowEngine) -> None:
        self._engine = engine
        fed = {name: spec for name, spec in engine.inputs.items() if not name.startswith("state_")}
        self.size = next(iter(fed.values()))[0][0]
        self._feeds = {name: np.zeros(*spec) for name, spec in fed.items()}
        self._state = zero_state(engine)
        self._free = list(range(self.size))

    def join(self) -> int:
        """A row, its state as before the first chunk.  ModelError where all are taken."""
        if not self._free:
            raise ModelError(f"all {self.size} streams of the engine are taken; build it for a larger batch")
        row = self._free.pop(0)
        self.reset(row)
        return row

    def leave(self, row: int) -> None:
        self._free.append(row)

    def reset(self, row: int) -> None:
        """The stream starts anew."""
        for name, value in self._state.items():
            state = np.array(value)
            state[row] = 0
            self._state[name] = state

    def run(self, chunks: Mapping[int, Arrays]) -> dict[int, Arrays]:
        """Each row's outputs for each row's inputs, of the shapes of a batch of one; without the state."""
        for row, feeds in chunks.items():
            for name, value in feeds.items():
                self._feeds[name][row : row + 1] = value
        feeds = {**self._feeds, **self._state}
        everyone = len(chunks) == self.size
        outputs = self._engine.run(feeds) if everyone else self._engine.run_rows(feeds, list(chunks))
        self._state = next_state(outputs)
        given = {name: value for name, value in outputs.items() if not name.startswith("next_")}
        return {row: {name: value[row : row + 1] for name, value in given.items()} for row in chunks}
