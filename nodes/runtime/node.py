"""What a node is: a plain class with ``open``, ``step`` and ``close``, and what it is given when opened.

A node imports neither Ray nor ZeroMQ, so a test calls ``step``.  Its options are the keyword-only parameters
of ``__init__``, typed and with defaults: the graph checks ``with:`` in ``pipeline.yaml`` against that
signature.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from nodes.runtime.messages import Message


def _nothing() -> None:
    return None


def _none(port: str) -> None:
    return None


@dataclass(frozen=True)
class Context:
    """What a node may know of where it runs.

    name: the node's id in ``pipeline.yaml``; a source stamps it into ``stream``.
    epoch: first epoch a source in this process may use; it rises with every restart of the group.
    live: False when a file is read, at whatever speed: it waits for its reader, so wait for watermarks, never
        for the wall clock, and a busy machine changes no word.
    wired: its input ports that something is connected to; None where that is not known.
    abreast: how many nodes like it, itself counted, its group steps side by side.
    silent_ns: of an input port that comes from another host, for how long that host has given no sign of
        life, though it is asked for some tens of them a second; None where it comes from this one.  So what
        is only late can be told from what is cut.
    now_ns: the host's monotonic clock, nanoseconds.
    wake: may be called from any thread; asks the host to call ``step`` now instead of at the next tick.
    """

    name: str
    epoch: int = 0
    live: bool = True
    wired: frozenset[str] | None = None
    abreast: int = 1
    silent_ns: Callable[[str], int | None] = _none
    now_ns: Callable[[], int] = time.monotonic_ns
    wake: Callable[[], None] = _nothing


class Node(Protocol):
    """A step of the pipeline.

    ``inputs`` and ``outputs`` are the ports (see ``messages``) it takes and gives.
    ``open`` prepares; it may raise ``UserError``.  A source whose device is missing does not raise: it opens,
    sends ``Gap`` at its usual pace and keeps trying.
    ``step`` is called with whatever arrived, in order of
    arrival for each input, and at least every 20 ms with an empty list, so deadlines need no threads.  It
    must not block: a source reads its device in its own thread, into a bounded queue, and ``step`` drains it.
    ``close`` ends threads and releases devices within one second.  ``finished`` (sources of files only) is
    true once everything has been handed out.  ``flush`` (where a node has it) gives what is still to be told
    of what it has had, when the run is stopped: nothing more comes after it but ``close``.  Where a class has
    ``abreast = True``, its nodes in a group are stepped at once, each in a thread of its own, so that they
    can ask one engine together (``nodes.runtime.abreast``).
    """

    inputs: ClassVar[tuple[str, ...]]
    outputs: ClassVar[tuple[str, ...]]

    def open(self, context: Context) -> None: ...

    def step(self, messages: Sequence[Message]) -> list[Message]: ...

    def close(self) -> None: ...
