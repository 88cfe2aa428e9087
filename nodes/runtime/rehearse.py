"""What can be known to fail before anything is started: all nodes here but the devices are opened once."""

from functools import partial

from nodes.runtime.graph import LOCAL, Graph
from nodes.runtime.node import Context
from nodes.runtime.slot import Slot


def rehearse(graph: Graph) -> None:
    """Raises UserError for a missing model, an address in use, a file that cannot be played, and the like.

    A device that is missing is no error: its source waits for it.
    """
    for spec in graph.nodes.values():
        if graph.groups[spec.group].runs_on != LOCAL:
            continue
        slot = Slot(spec, partial(Context, spec.id))
        if slot.is_source and not hasattr(slot.kind, "finished"):
            continue
        slot.open()
        slot.close()
