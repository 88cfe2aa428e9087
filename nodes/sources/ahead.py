"""A file read ahead of the pipeline: in a thread of its own, a few messages, each when it is due."""

import queue
import threading
from collections.abc import Callable, Iterator

from nodes.runtime.errors import UserError
from nodes.runtime.messages import Message
from nodes.runtime.node import Context

# A full queue makes the reading thread wait: a file can, so nothing of it is ever dropped.
QUEUE_MESSAGES = 32


class Ahead:
    """``take`` what has been read so far of ``messages``: each with the time of the host when it is due.

    None is due at once.  ``messages`` may take as long as it likes over each, in the thread.
    """

    def __init__(self, context: Context, messages: Iterator[tuple[int | None, Message]]) -> None:
        self._now_ns: Callable[[], int] = context.now_ns
        self._wake = context.wake
        self._messages = messages
        self._queue: queue.Queue[Message] = queue.Queue(QUEUE_MESSAGES)
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"{context.name} reader", daemon=True)
        self._thread.start()

    def take(self) -> list[Message]:
        """Raises whatever kept it from being read on, once what was read before has been taken."""
        ready: list[Message] = []
        while len(ready) < QUEUE_MESSAGES and not self._queue.empty():
            ready.append(self._queue.get_nowait())
        if self._failure is not None and not ready:
            raise self._failure
        return ready

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=0.9)

    @property
    def finished(self) -> bool:
        """Everything has been handed out."""
        return not self._thread.is_alive() and self._queue.empty()

    def _run(self) -> None:
        try:
            for due_ns, message in self._messages:
                if due_ns is not None:
                    self._stop.wait(max(0, due_ns - self._now_ns()) / 1e9)
                if not self._put(message):
                    break
                self._wake()
        except BaseException as failure:  # raised where the host can report it
            self._failure = failure
        self._wake()

    def _put(self, message: Message) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(message, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False


def check_speed(speed: float) -> None:
    """Raises UserError for a speed that makes no sense."""
    if not 0 <= speed <= 1000:
        raise UserError(
            f"speed {speed:g}: give 1 for real time, N for N times that, 0 for as fast as it goes"
        )
