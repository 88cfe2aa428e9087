"""How the pipeline is, from what the publisher heard and how long ago: the body of the topic ``status``."""

from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np

from nodes.outputs.bodies import Emission, Reading, StatusBody
from nodes.runtime.messages import Face, Gap, Health, Message, Transcript, Voice

READING_NS = 1_000_000_000  # without a voice or transcript for this long nothing is being read
LOST_NS = 2_000_000_000  # a group says its health once a second
DELAYS_KEPT = 64
WELL = ("running", "finished")
EVIDENCE = {"av": 2, "audio": 1, "video": 1}
# Gaps name the port that has nothing; a person thinks in what cannot be done without it.
MISSING = {
    "picture": "no picture",
    "face": "no lips",
    "audio": "no sound",
    "voice": "no voice",
    "transcript": "no voice",
}


class Status:
    """Hears every message the publisher gets (``hear``) and sums them up (``body``).

    Bounded by the graph: one entry for each group, node, edge and input.
    """

    def __init__(self, stream: str, epoch: int, now_ns: int) -> None:
        self._stream = stream
        self._epoch = epoch
        self._started_ns = now_ns
        self._told_ns = now_ns
        self._readings: dict[str, tuple[Reading, int, int]] = {}  # when it was heard, and of when it is
        self._gaps: dict[tuple[str, str], tuple[str, int]] = {}
        self._health: dict[str, tuple[Health, int]] = {}
        self._delays: dict[str, deque[float]] = {}
        self._dropped: dict[str, int] = {}
        self.is_news = False  # a group runs no more: not to be told a second later

    def hear(self, message: Message, now_ns: int) -> None:
        if isinstance(message, Gap):
            self._gaps[message.stream, message.of] = (message.reason, now_ns)
        elif isinstance(message, Health):
            name = message.group or message.stream
            was_well = name in self._health and self._health[name][0].state in WELL
            self.is_news |= was_well and message.state not in WELL
            self._health[name] = (message, now_ns)
        elif isinstance(message, Transcript | Voice | Face):
            self._gaps.pop((message.stream, message.port), None)
            if not isinstance(message, Face):
                before, *_ = self._readings.get(message.stream, (Reading(), now_ns, now_ns))
                reading = Reading(
                    mode=message.mode,
                    modalities=dict(message.modalities),
                    sync_error_ms=message.sync_error_ms,
                    face=message.face,
                    faces=message.faces if isinstance(message, Voice) else before.faces,
                )
                self._readings[message.stream] = (reading, now_ns, message.t_end_ns)

    def published(self, topic: str, captured_ns: int, now_ns: int) -> None:
        """Takes note of the delay from the end of capture to publication."""
        self._delays.setdefault(topic, deque(maxlen=DELAYS_KEPT)).append((now_ns - captured_ns) / 1e6)

    def reading(self, now_ns: int) -> Reading:
        """What is being read now; of several recognisers by that which has the most to go by."""
        return _best(read for read, heard_ns, _ in self._readings.values() if now_ns - heard_ns <= READING_NS)

    def reading_at(self, t_ns: int) -> Reading:
        """The same for what was captured at ``t_ns``: no clock is read, so a replay gives the same."""
        return _best(read for read, _, end_ns in self._readings.values() if t_ns - end_ns <= READING_NS)

    def body(self, emission: Emission) -> StatusBody:
        now_ns = emission.now_ns
        reading = self.reading(now_ns)
        groups = {
            name: {
                "state": health.state if now_ns - heard_ns <= LOST_NS else "lost",
                "restarts": health.restarts,
                "pid": health.pid,
                "memory_bytes": health.memory_bytes,
                "heard_s": round((now_ns - heard_ns) / 1e9, 3),
                "host": health.host,
            }
            for name, (health, heard_ns) in sorted(self._health.items())
        }
        nodes = {
            name: {"group": health.group, **node}
            for health, _ in self._health.values()
            for name, node in health.nodes.items()
        }
        edges = {name: edge for health, _ in self._health.values() for name, edge in health.edges.items()}
        drops = {name: edge.get("dropped", 0) for name, edge in edges.items()}
        clocks = {name: clock for health, _ in self._health.values() for name, clock in health.clocks.items()}
        body = StatusBody(
            schema="hearsee.status/1",
            stream=self._stream,
            seq=emission.seq,
            epoch=self._epoch,
            t_start_ns=self._told_ns,
            t_end_ns=now_ns,
            t_emit_ns=now_ns,
            unix_time=emission.unix_time(self._told_ns),
            mode=reading.mode,
            modalities=dict(reading.modalities),
            sync_error_ms=reading.sync_error_ms,
            says="; ".join(self._troubles(groups, nodes, drops, now_ns)) or _well(reading.mode),
            uptime_s=round((now_ns - self._started_ns) / 1e9, 3),
            groups=groups,
            nodes=nodes,
            delays={
                topic: {
                    "p50_ms": round(float(np.percentile(delays, 50)), 3),
                    "p99_ms": round(float(np.percentile(delays, 99)), 3),
                }
                for topic, delays in self._delays.items()
            },
            drops=drops,
            queues={
                name: {"messages": edge.get("queued", 0), "bytes": edge.get("queued_bytes", 0)}
                for name, edge in edges.items()
            },
            clocks=clocks,
        )
        self._told_ns = now_ns
        self._dropped = drops
        self.is_news = False
        return body

    def _troubles(
        self,
        groups: dict[str, dict[str, Any]],
        nodes: dict[str, dict[str, Any]],
        drops: dict[str, int],
        now_ns: int,
    ) -> list[str]:
        """What is wrong, each in a few words; a person reads the first one first."""
        troubles = []
        for name, group in groups.items():
            if group["state"] == "lost":
                troubles.append(f"group {name} not heard")  # how long is in groups: this stays the same
            elif group["state"] not in WELL:
                troubles.append(f"group {name} {group['state']}")
        # Gaps of a microphone do not come here, its health tells of them; one reason passes several ports.
        gaps = {reason: port for node in nodes.values() for port, reason in node.get("gaps", {}).items()}
        for (_, port), (reason, heard_ns) in self._gaps.items():
            if now_ns - heard_ns <= READING_NS:
                gaps.setdefault(reason, port)
        troubles += [f"{MISSING.get(port, 'no ' + port)}: {reason}" for reason, port in gaps.items()]
        troubles += [warning for node in nodes.values() for warning in node.get("warnings", ())]
        troubles += [
            f"{name}: {node['state']}" for name, node in nodes.items() if node.get("state", "ok") != "ok"
        ]
        for name, dropped in drops.items():
            if dropped > self._dropped.get(name, 0):
                troubles.append(f"{name} is dropping messages")
        return list(dict.fromkeys(troubles))


def _best(readings: Iterable[Reading]) -> Reading:
    return max(readings, key=lambda reading: EVIDENCE.get(reading.mode, 0), default=Reading())


def _well(mode: str) -> str:
    return {
        "av": "reading sound and lips",
        "audio": "reading sound only",
        "video": "reading lips only",
    }.get(mode, "neither sound nor lips to read")
