"""Works side by side that ask the same of something that answers several at once as fast as one.

Two microphones in one group each have an engine to ask, and on a GPU sixteen questions take hardly longer
than one.  So nodes of a kind that says ``abreast`` are stepped in threads of their own, and whoever asks
waits until each of the others has asked as well, or is done, or ``WAIT_S`` have passed.  Nobody waits for a
node that has nothing to step for.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

WAIT_S = 0.005

_Value = TypeVar("_Value")
_Made = TypeVar("_Made")
_here = threading.local()


def ask(answer: Callable[[list[_Value]], list[_Made]], value: _Value) -> _Made:
    """What ``answer`` makes of ``value``, and of what the works beside this one ask of it at the same time.

    Where there are none beside it, at once.  Raises what ``answer`` raises.
    """
    abreast: Abreast | None = getattr(_here, "abreast", None)
    if abreast is None:
        return answer([value])[0]
    made: _Made = abreast.ask(answer, value)
    return made


@dataclass(eq=False)
class _Question:
    answer: Callable[[list[Any]], list[Any]]
    value: Any
    made: Any = None
    error: BaseException | None = None
    done: bool = False


class Abreast:
    """Threads for so many works at a time.  ``close`` ends them."""

    def __init__(self, name: str, count: int) -> None:
        self._changed = threading.Condition()
        self._working = 0  # works that are neither done nor waiting for an answer
        self._asked: list[_Question] = []
        self._queues: list[SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None]] = []
        for i in range(count):
            self._queues.append(SimpleQueue())
            threading.Thread(
                target=self._serve, args=(self._queues[i],), name=f"{name} {i}", daemon=True
            ).start()

    def run(self, works: Sequence[Callable[[], _Made]]) -> list[_Made]:
        """What each makes, all at once and no more than there are threads.  Raises what the first raises."""
        self._working = len(works)
        futures: list[Future[_Made]] = [Future() for _ in works]
        for queue, work, future in zip(self._queues, works, futures, strict=False):
            queue.put((work, future))
        return [future.result() for future in futures]

    def ask(self, answer: Callable[[list[Any]], list[Any]], value: Any) -> Any:
        question = _Question(answer, value)
        with self._changed:
            self._asked.append(question)
            self._working -= 1
            self._changed.notify_all()
            taken = self._wait(question)
        if taken:
            self._settle(taken)
        with self._changed:
            while not question.done:
                self._changed.wait()
        if question.error is not None:
            raise question.error
        return question.made

    def close(self) -> None:
        for queue in self._queues:
            queue.put(None)

    def _wait(self, question: _Question) -> list[_Question]:
        """What is to be answered now with ``question``; nothing where another has taken it."""
        until = time.monotonic() + WAIT_S
        while question in self._asked:
            left_s = until - time.monotonic()
            if self._working == 0 or left_s <= 0:
                taken = [each for each in self._asked if each.answer == question.answer]
                self._asked = [each for each in self._asked if each not in taken]
                self._working += len(taken)
                return taken
            self._changed.wait(left_s)
        return []

    def _settle(self, taken: list[_Question]) -> None:
        try:
            for question, made in zip(taken, taken[0].answer([each.value for each in taken]), strict=True):
                question.made = made
        except BaseException as error:
            for question in taken:
                question.error = error
        with self._changed:
            for question in taken:
                question.done = True
            self._changed.notify_all()

    def _serve(self, queue: "SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None]") -> None:
        _here.abreast = self
        while (given := queue.get()) is not None:
            work, future = given
            made, error = None, None
            try:
                made = work()
            except BaseException as raised:
                error = raised
            with self._changed:
                self._working -= 1
                self._changed.notify_all()
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(made)
