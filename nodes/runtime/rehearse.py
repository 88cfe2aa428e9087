"""What can be known to fail before anything is started: all nodes here but the devices are opened once."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from nodes.runtime.graph import LOCAL, Graph
from nodes.runtime.node import Context
from nodes.runtime.slot import Slot

PATIENCE_S = 60.0


def rehearse(graph: Graph, patience_s: float = PATIENCE_S) -> None:
    """Raises UserError for a missing model, an address in use, a file that cannot be played, and the like.

    A device that is missing is no error: its source waits for it.  A node that has not opened after
    ``patience_s`` ends the process: a library may never come back from a file that is damaged.
    """
    for spec in graph.nodes.values():
        if graph.groups[spec.group].runs_on != LOCAL:
            continue
        slot = Slot(spec, partial(Context, spec.id))
        if slot.is_source and not hasattr(slot.kind, "finished"):
            continue
        with _patience(spec.id, patience_s):
            slot.open()
        slot.close()


@contextmanager
def _patience(id: str, seconds: float) -> Iterator[None]:
    """What C code does can only be ended with the process: by Ctrl-C at once, else after ``seconds``."""

    def give_up() -> None:
        print(
            f"error: {id}: not open after {seconds:.0f} s; perhaps a model or media file of it is damaged:"
            " restore it, or see `python launch.py doctor`",
            file=sys.stderr,
            flush=True,
        )
        os._exit(2)

    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_DFL) if main else None
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if before is not None:
            signal.signal(signal.SIGINT, before)
