"""One run of a pipeline, from a checked graph to nothing left behind."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nodes.runtime import hosts
from nodes.runtime.check import find_class
from nodes.runtime.cluster import cluster_ray, private_ray, run_folder
from nodes.runtime.graph import Graph
from nodes.runtime.notify import Notify
from nodes.runtime.plan import plan
from nodes.runtime.supervisor import Supervisor

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(graph: Graph, seconds: float | None, ready: Callable[[], None], tell: Callable[[str], None]) -> None:
    """Returns when a file has been read to its end, after ``seconds``, or at Ctrl-C or SIGTERM.

    ready: called when all is open, just before the sources begin.  tell: is given a line for the person who
    waits.  Raises UserError where it cannot start.
    Call it from the main thread.
    """
    before = {number: signal.getsignal(number) for number in SIGNALS}
    stop = threading.Event()
    timer = threading.Timer(seconds, stop.set) if seconds else None

    def begin() -> None:
        ready()
        if timer:
            timer.start()

    try:
        _on_signals(_interrupt)
        with (
            suppress(KeyboardInterrupt),
            run_folder() as folder,
            _hosts(graph, folder, tell) as addresses,
        ):
            planned = plan(graph, str(folder), _is_live(graph), addresses)
            _on_signals(stop.set)  # Ray has put its own in their place
            keys = Path(graph.cluster.keys) if addresses and graph.cluster else None
            Supervisor(planned, Notify(), keys).run(stop, begin)
    finally:
        if timer:
            timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _hosts(graph: Graph, folder: Path, tell: Callable[[str], None]) -> Iterator[dict[str, str]]:
    """Ray on all hosts that the graph needs, and their addresses; none where that is only this one."""
    if not (graph.cluster and graph.hosts):
        with private_ray(folder, len(graph.groups)):
            yield {}
        return
    with cluster_ray(folder, len(graph.groups), graph.cluster):
        _on_signals(_interrupt)
        yield hosts.wait_for(graph.hosts, graph.cluster, tell)


def _is_live(graph: Graph) -> bool:
    """Whether all goes by the clock; a file waits for its reader, so that a busy machine loses none of it."""
    return not any(hasattr(find_class(spec.kind), "finished") for spec in graph.nodes.values())


def _on_signals(act: Callable[[], None]) -> None:
    for number in SIGNALS:
        signal.signal(number, lambda number, frame: act())


def _interrupt() -> None:
    raise KeyboardInterrupt
