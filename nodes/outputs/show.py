"""Runs a pipeline, and shows the person who started it what it publishes."""

import logging

from nodes.outputs.address import USUAL
from nodes.outputs.follow import Follow
from nodes.outputs.screen import Screen
from nodes.runtime.graph import LOCAL, Graph
from nodes.runtime.rehearse import rehearse
from nodes.runtime.run import run

log = logging.getLogger("hearsee")

CONNECT_S = 2.0


def show(graph: Graph, seconds: float | None = None) -> list[str]:
    """Returns the words of the last finals when a file has been read to its end, after ``seconds``, or at
    Ctrl-C.  UserError where it cannot start.
    """
    rehearse(graph)
    groups: dict[str, list[str]] = {}
    for spec in graph.nodes.values():
        groups.setdefault(spec.group, []).append(spec.id)
    named = ", ".join(f"{name} ({' '.join(ids)})" for name, ids in groups.items())
    log.info("starting %d %s: %s ...", len(groups), "group" if len(groups) == 1 else "groups", named)
    publishers = [spec for spec in graph.nodes.values() if spec.kind == "outputs/publish"]
    publisher = next((spec for spec in publishers if graph.groups[spec.group].runs_on == LOCAL), None)
    address = publisher.options.get("address", USUAL) if publisher else ""
    with Screen() as screen:
        follow = Follow(address, publisher.options.get("keys", ""), screen) if publisher else None

        def ready() -> None:
            if follow:
                follow.start()
                follow.connected.wait(CONNECT_S)
            log.info("running%s; Ctrl-C stops", address and f", publishing at {address}")

        try:
            run(graph, seconds, ready, log.info)
        finally:
            if follow:
                follow.stop()
    return list(follow.heard) if follow else []
