"""The next batch is made, by numpy on a processor, while this one is learnt from on a GPU."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(make: Callable[[int], T]) -> Callable[[int], T]:
    """``make`` for steps that are asked for in order, one thread ahead.

    ``make`` may depend on the number of the step alone, so what it gives is the same as without.
    """
    pool, begun = ThreadPoolExecutor(1), dict[int, Future[T]]()

    def batch(step: int) -> T:
        made = begun.pop(step, None) or pool.submit(make, step)
        begun.clear()
        begun[step + 1] = pool.submit(make, step + 1)
        return made.result()

    return batch
