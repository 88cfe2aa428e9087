"""One way between two groups: bounded queues, a drop rule for each port, and behind them a ZeroMQ pipe.

The sending group binds a PUSH socket, the receiving group connects a PULL socket, both to the address fixed
at launch, so either may die and come back.  ZeroMQ's own queues are kept short: what waits, waits in a
``Lane``, where it is counted and dropped by rule.  Neither end ever blocks.

Between hosts the sockets go over TCP with keys and a pulse (``link``), and the receiving end makes the times
of the other host's clock those of its own (``exchange``).
"""

import logging
import time
from collections import deque
from collections.abc import Iterator

import zmq

from nodes.runtime.exchange import Asker
from nodes.runtime.graph import Bound
from nodes.runtime.link import DEAD_MS, Link
from nodes.runtime.messages import MAX_ARRAY_BYTES, Gap, Message, MessageError, decode, encode, shift
from nodes.runtime.plan import Edge

log = logging.getLogger(__name__)

HIGH_WATER = 2
END = b"end"
"""The only message with one part: everything there was has been sent."""

ENVELOPE_BYTES = 256  # about what a message costs beside its arrays
RECONNECT_MS = 20
LONGEST_HANDSHAKE = 1024
HANDSHAKE_MS = 5000  # who connects and says nothing is cut off
LINGER_MS = 200  # what has been sent is let go of so long after its end, should nobody take it
COMPLAIN_S = 5.0


def size(message: Message) -> int:
    """Bytes a message keeps alive while it waits."""
    arrays = (getattr(message, name) for name in message.__struct_fields__)
    return ENVELOPE_BYTES + sum(getattr(value, "nbytes", 0) for value in arrays)


class Lane:
    """Messages of one route, oldest first, within a bound in messages and bytes; the newest one always fits.

    Over the bound the oldest are dropped and counted.  Sound is not dropped in silence: what went is told by
    one ``Gap`` a stream with the times it covered, ahead of what is left.
    """

    def __init__(self, port: str, bound: Bound) -> None:
        self.port = port
        self.bound = bound
        self.dropped = 0
        self.bytes = 0
        self._queue: deque[tuple[int, Message]] = deque()
        self._holes: dict[str, Gap] = {}

    def __len__(self) -> int:
        return len(self._queue) + len(self._holes)

    @property
    def full(self) -> bool:
        return len(self._queue) >= self.bound.messages or self.bytes >= self.bound.bytes

    @property
    def age(self) -> int:
        """The order of arrival of the message that is next; only of a lane that is not empty."""
        return -1 if self._holes else self._queue[0][0]

    def put(self, arrival: int, message: Message, drop: bool) -> None:
        self._queue.append((arrival, message))
        self.bytes += size(message)
        while drop and len(self._queue) > 1 and self._over():
            oldest = self._queue.popleft()[1]
            self.bytes -= size(oldest)
            self.dropped += 1
            if self.port == "audio":
                self._tell(oldest)

    def peek(self) -> Message:
        return next(iter(self._holes.values())) if self._holes else self._queue[0][1]

    def pop(self) -> None:
        if self._holes:
            del self._holes[next(iter(self._holes))]
        else:
            self.bytes -= size(self._queue.popleft()[1])

    def _over(self) -> bool:
        return len(self._queue) > self.bound.messages or self.bytes > self.bound.bytes

    def _tell(self, lost: Message) -> None:
        hole = self._holes.get(lost.stream)
        self._holes[lost.stream] = Gap(
            stream=lost.stream,
            seq=lost.seq,
            epoch=lost.epoch,
            t_start_ns=min(hole.t_start_ns, lost.t_start_ns) if hole else lost.t_start_ns,
            t_end_ns=max(hole.t_end_ns, lost.t_end_ns) if hole else lost.t_end_ns,
            of=self.port,
            reason="overflow",
        )


class Outlet:
    """The sending end: ``put`` never blocks, ``flush`` hands ZeroMQ what it takes, in order of arrival.

    link: how to reach other hosts, where the edge leads to one.
    """

    def __init__(self, edge: Edge, context: zmq.Context[zmq.Socket[bytes]], link: Link | None = None) -> None:
        self.edge = edge
        self.lanes = {route: Lane(route.partition("/")[2], bound) for route, bound in edge.bounds.items()}
        self._arrivals = 0
        self.socket = context.socket(zmq.PUSH)
        self.socket.set_hwm(HIGH_WATER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.MAXMSGSIZE, LONGEST_HANDSHAKE)  # whoever connects has nothing to say
        self.socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        self._link = link
        if edge.crosses:
            assert link is not None
            link.bind(self.socket, edge.address)
            link.guard.watch(self.socket)
        else:
            self.socket.bind(edge.address)

    @property
    def queued(self) -> int:
        return sum(len(lane) for lane in self.lanes.values())

    @property
    def full(self) -> bool:
        """Whether the sources before an edge that must not drop have to wait."""
        return self.edge.wait and any(lane.full for lane in self.lanes.values())

    def put(self, route: str, message: Message) -> None:
        self._arrivals += 1
        self.lanes[route].put(self._arrivals, message, drop=not self.edge.wait)

    def flush(self) -> bool:
        """Whether all is sent."""
        while waiting := [(lane.age, route) for route, lane in self.lanes.items() if len(lane)]:
            route = min(waiting)[1]
            lane = self.lanes[route]
            try:
                parts = encode(lane.peek(), route, packed=self.edge.crosses)
            except MessageError as error:
                log.warning("%s: %s", route, error)
                lane.dropped += 1
            else:
                if not self._send(parts):
                    return False
            lane.pop()
        return True

    def end(self) -> bool:
        """Tell the other side that nothing more will come; false where it cannot hear it now: try again."""
        return self._send([END])

    def _send(self, parts: list[bytes | memoryview]) -> bool:
        try:
            self.socket.send_multipart(parts, zmq.DONTWAIT)
        except zmq.Again:
            return False
        return True

    def report(self) -> dict[str, dict[str, int]]:
        """For ``Health.edges``: what waits and what was dropped so far, by "node/port>group"."""
        return {
            f"{route}>{self.edge.target}": {
                "queued": len(lane),
                "queued_bytes": lane.bytes,
                "dropped": lane.dropped,
            }
            for route, lane in self.lanes.items()
        }

    def close(self) -> None:
        if self._link is not None:
            self._link.guard.unwatch(self.socket)
        self.socket.close(linger=LINGER_MS)


class Inlet:
    """The receiving end.  What is no message of ours is counted and left out; the log says so at times.

    link: how to reach other hosts, where the edge comes from one.  asker: that host's clock, where the times
    of the messages are to be made those of this host.
    """

    def __init__(
        self,
        edge: Edge,
        context: zmq.Context[zmq.Socket[bytes]],
        link: Link | None = None,
        asker: Asker | None = None,
    ) -> None:
        self.edge = edge
        self.ended = False
        self.malformed = 0
        self._complained_s = -COMPLAIN_S
        self._routes = {route.encode(): nodes for route, nodes in edge.routes.items()}
        self.socket = context.socket(zmq.PULL)
        self.socket.set_hwm(HIGH_WATER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.MAXMSGSIZE, MAX_ARRAY_BYTES)
        self._asker = asker
        self._cut_off = False
        if edge.crosses:
            assert link is not None
            link.connect(self.socket, edge.address)
        else:
            self.socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
            self.socket.connect(edge.address)

    def look(self) -> None:
        """To be called often: connects anew as soon as a host that was cut off is heard again.

        Else it would be with the next attempt, half a second later, and again where that is lost.
        """
        if self._asker is None:
            return
        silent_ms = self._asker.silent_ns // 1_000_000
        if self._cut_off and not silent_ms:
            self.socket.disconnect(self.edge.address)
            self.socket.connect(self.edge.address)
        self._cut_off = bool(silent_ms) and (self._cut_off or silent_ms > DEAD_MS)

    @property
    def ready(self) -> bool:
        """Whether messages can be told in this host's time."""
        return self._asker is None or self._asker.known

    def receive(self, limit: int = 64) -> Iterator[tuple[tuple[str, ...], Message]]:
        """The messages that are here now, at most ``limit``, each with the ids of the nodes that take it."""
        offset_ns = self._asker.offset_ns(time.monotonic_ns()) if self._asker else 0
        if offset_ns is None:
            return
        for _ in range(limit):
            try:
                frames = self.socket.recv_multipart(zmq.DONTWAIT, copy=False)
            except zmq.Again:
                return
            parts = [frame.buffer for frame in frames]
            if len(parts) == 1 and parts[0] == END:
                self.ended = True
                continue
            self.ended = False
            try:
                nodes = self._routes[bytes(parts[0])]
                message = decode(parts)
            except KeyError:
                self._complain(f"no node here takes {bytes(parts[0])[:40]!r}")
            except MessageError as error:
                self._complain(str(error)[:300])
            else:
                route = bytes(parts[0]).decode()
                if message.port == route.partition("/")[2]:
                    shift(message, offset_ns)
                    yield nodes, message
                else:
                    self._complain(f"a message of port {message.port[:40]!r} came as {route}")

    def _complain(self, reason: str) -> None:
        self.malformed += 1
        now_s = time.monotonic()
        if now_s - self._complained_s >= COMPLAIN_S:
            self._complained_s = now_s
            log.warning("from group %s: %s; %d left out so far", self.edge.source, reason, self.malformed)

    def close(self) -> None:
        self.socket.close()
