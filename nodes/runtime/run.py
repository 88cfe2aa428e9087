"""One run of a pipeline, from a checked graph to nothing left behind."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from nodes.runtime.check import find_class
from nodes.runtime.cluster import private_ray, run_folder
from nodes.runtime.graph import Graph
from nodes.runtime.plan import HEALTH, plan
from nodes.runtime.supervisor import Supervisor


def run(graph: Graph, live: bool, seconds: float | None, ready: Callable[[], None]) -> None:
    """Returns when a file has been read to its end, after ``seconds``, or at Ctrl-C or SIGTERM.

    live: False lets files go as fast as they can, and nothing is dropped.  ready: called when all is open,
    just before the sources begin.  Raises UserError where it cannot start.  Call it from the main thread.
    """
    takes_health = {id for id, spec in graph.nodes.items() if HEALTH in find_class(spec.kind).inputs}
    with _stopped_by_signals() as stop, run_folder() as folder:
        planned = plan(graph, takes_health, str(folder), live)
        with private_ray(folder, len(planned.groups)):
            timer = threading.Timer(seconds, stop.set) if seconds else None

            def begin() -> None:
                ready()
                if timer:
                    timer.start()

            try:
                Supervisor(planned).run(stop, begin)
            finally:
                if timer:
                    timer.cancel()


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set instead of ending the process."""
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
