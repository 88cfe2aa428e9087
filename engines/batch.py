"""Several streams through one engine, a step for all of them at once: for a box that serves many.

A GPU takes hardly longer for sixteen streams than for one.  A stream's state is a row of the engine's; who
has no chunk in a step rests, and its row stays as it is, on the device where the engine keeps it there.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from weakref import WeakValueDictionary, ref

import numpy as np

from engines.engine import Arrays, Engine, ModelError, RowEngine, check, next_state, zero_state
from nodes.runtime.abreast import ask


class Seat:
    """Where a stream's state is: in a row, or ``away``, on the host, while others have the rows.

    Whoever holds a state of it holds the seat; when nobody does, its row is free again.
    """

    def __init__(self, batch: "Batch") -> None:
        self.batch = batch
        self.row: int | None = None
        self.away: Arrays = {}
        self.step = 0
        self.used = 0


class SeatState:
    """A state of a seat after a step.  The stream's next step takes it for nothing, and then it is gone."""

    def __init__(self, seat: Seat, name: str) -> None:
        self.shape, self.dtype = seat.batch.inputs[name]
        self.seat, self.name, self.step = seat, name, seat.step

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Raises ModelError where a step has taken it."""
        value = self.seat.batch.read(self)
        return value if dtype is None else value.astype(dtype)


class Batch:
    """``engine`` as one for a single stream, for each of several: their states tell them apart.

    single: the same model for one stream; gives the shapes.  Streams that step at once
    (``nodes.runtime.abreast``) are computed at once.  Of more streams than rows, those that were not heard
    for longest have their state on the host.  Raises from ``run`` what the engine raises.
    """

    def __init__(self, engine: RowEngine, single: Engine) -> None:
        self.backend = engine.backend
        self.inputs, self.outputs, self.metadata = single.inputs, single.outputs, single.metadata
        self._engine = engine
        fed = {name: spec for name, spec in engine.inputs.items() if not name.startswith("state_")}
        self.size = next(iter(fed.values()))[0][0]
        self._feeds = {name: np.zeros(*spec) for name, spec in fed.items()}
        self._state = zero_state(engine)
        self._owners: list[ref[Seat] | None] = [None] * self.size
        self._steps = 0
        self._one_at_a_time = threading.Lock()

    def run(self, feeds: Arrays) -> Arrays:
        check(feeds, self.inputs, self._engine.path)
        return ask(self._answer, feeds)

    def read(self, state: SeatState) -> np.ndarray:
        with self._one_at_a_time:
            return self._read(state)

    def _answer(self, asked: list[Arrays]) -> list[Arrays]:
        with self._one_at_a_time:
            answers: list[Arrays] = []
            for i in range(0, len(asked), self.size):
                answers += self._step(asked[i : i + self.size])
            return answers

    def _step(self, asked: list[Arrays]) -> list[Arrays]:
        self._steps += 1
        seats = [self._find_seat(feeds) for feeds in asked]
        for seat in seats:
            seat.used = self._steps
        for seat in seats:
            self._seat(seat)
        rows = [cast(int, seat.row) for seat in seats]
        for row, feeds in zip(rows, asked, strict=True):
            for name, buffer in self._feeds.items():
                buffer[row : row + 1] = feeds[name]
        feeds = {**self._feeds, **self._state}
        everyone = len(rows) == self.size
        outputs = self._engine.run(feeds) if everyone else self._engine.run_rows(feeds, rows)
        self._state = next_state(outputs)
        return [self._give(outputs, seat, row) for seat, row in zip(seats, rows, strict=True)]

    def _give(self, outputs: Arrays, seat: Seat, row: int) -> Arrays:
        seat.step += 1
        given = {n: value[row : row + 1] for n, value in outputs.items() if not n.startswith("next_")}
        states = {"next_" + name[6:]: SeatState(seat, name) for name in self._state}
        return {**given, **cast(Arrays, states)}

    def _find_seat(self, feeds: Arrays) -> Seat:
        """Whose state it is; a new seat for a state that is not of this engine, as before a first chunk."""
        states: dict[str, Any] = {name: feeds[name] for name in self._state}
        one = next(iter(states.values()), None)
        if isinstance(one, SeatState) and one.seat.batch is self:
            for state in states.values():
                self._check_present(state)
            return one.seat
        seat = Seat(self)
        seat.away = {name: np.asarray(value) for name, value in states.items()}
        return seat

    def _seat(self, seat: Seat) -> None:
        """Gives it a row: a free one, else that of whoever was not heard for longest."""
        if seat.row is not None:
            return
        owners = {row: owner() if owner is not None else None for row, owner in enumerate(self._owners)}
        row = min(owners, key=lambda row: owner.used if (owner := owners[row]) is not None else -1)
        if (owner := owners[row]) is not None:
            owner.away = {name: self._row(name, row) for name in self._state}
            owner.row = None
        for name, value in seat.away.items():
            state = np.array(self._state[name])
            state[row] = value[0]
            self._state[name] = state
        seat.row, seat.away = row, {}
        self._owners[row] = ref(seat)

    def _row(self, name: str, row: int) -> np.ndarray:
        return np.array(self._state[name])[row : row + 1]

    def _read(self, state: SeatState) -> np.ndarray:
        self._check_present(state)
        seat = state.seat
        return seat.away[state.name] if seat.row is None else self._row(state.name, seat.row)

    def _check_present(self, state: SeatState) -> None:
        if state.step != state.seat.step:
            raise ModelError(
                f"{self._engine.path}: {state.name} of step {state.step} is gone, the stream is at "
                f"{state.seat.step}"
            )


_batches: WeakValueDictionary[Path, Batch] = WeakValueDictionary()


def share(plan: Path, make: Callable[[], RowEngine], single: Engine) -> Batch:
    """The batch of this plan that streams of this process share; ``make`` opens its engine for the first."""
    batch = _batches.get(plan)
    if batch is None:
        batch = _batches[plan] = Batch(make(), single)
    return batch
