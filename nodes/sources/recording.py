"""A recording as a source: what camera and microphone sent, again, at any speed."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import ClassVar

from nodes.runtime.messages import FRAME_NS, Audio, Gap, Message, Picture
from nodes.runtime.node import Context
from nodes.sources.ahead import Ahead, check_speed
from nodes.sources.archive import probe, read

log = logging.getLogger(__name__)

TAIL_NS = 1_000_000_000
# Where the recorded times jump by more than this, or back, the replay does not wait.
JUMP_NS = 2_000_000_000


class Recording:
    """Plays one recording made by ``outputs/record``.

    path: the file.
    speed: 1 is as it was, 2 twice that; 0 as fast as the pipeline takes it.

    Every message is as it was recorded, stream, seq, epoch and times too, at every speed.  The end is a
    second of ``Gap`` of each stream, so that speech ends.
    """

    inputs: ClassVar[tuple[str, ...]] = ()
    outputs: ClassVar[tuple[str, ...]] = (Audio.port, Picture.port)

    def __init__(self, *, path: str, speed: float = 1.0) -> None:
        self.path = path
        self.speed = speed
        self._ahead: Ahead | None = None

    def open(self, context: Context) -> None:
        """Raises UserError for a file that cannot be replayed, and for a speed that makes no sense."""
        check_speed(self.speed)
        probe(self.path)
        self._ahead = Ahead(context, self._play(context))

    def step(self, messages: Sequence[Message]) -> list[Message]:
        return self._ahead.take() if self._ahead is not None else []

    def close(self) -> None:
        if self._ahead is not None:
            self._ahead.close()

    @property
    def finished(self) -> bool:
        """Everything has been handed out."""
        return self._ahead is not None and self._ahead.finished

    def _play(self, context: Context) -> Iterator[tuple[int | None, Message]]:
        damage: Counter[str] = Counter()
        begun_ns = furthest_ns = None
        played_ns = 0
        for message in _with_tail(read(self.path, damage)):
            due_ns = None
            if self.speed:
                t_ns = message.t_start_ns if isinstance(message, Picture) else message.t_end_ns
                if begun_ns is None or furthest_ns is None:
                    begun_ns, furthest_ns = context.now_ns(), t_ns
                if not -JUMP_NS <= t_ns - furthest_ns <= JUMP_NS:
                    furthest_ns = t_ns
                played_ns += max(0, t_ns - furthest_ns)
                furthest_ns = max(furthest_ns, t_ns)
                due_ns = begun_ns + round(played_ns / self.speed)
            yield due_ns, message
        if damage:
            what = ", ".join(f"{kind}: {count}" for kind, count in damage.items())
            log.warning("%s: %s; what could be read was played", self.path, what)


def _with_tail(messages: Iterator[Audio | Picture | Gap]) -> Iterator[Audio | Picture | Gap]:
    """All of ``messages``, and after them a second of gaps, those of each stream and port side by side."""
    last: dict[tuple[str, str], Audio | Picture | Gap] = {}
    for message in messages:
        last[message.stream, message.port] = message
        yield message
    ends_ns = {key: message.t_end_ns for key, message in last.items()}
    latest_ns = max(ends_ns.values(), default=0)
    # One whose clock is far from the others' has an end of its own.
    until_ns = {
        key: (latest_ns if latest_ns - end_ns <= JUMP_NS else end_ns) + TAIL_NS
        for key, end_ns in ends_ns.items()
    }
    while late := [key for key, message in last.items() if message.t_end_ns < until_ns[key]]:
        key = min(late, key=lambda key: (last[key].t_end_ns, key))
        before = last[key]
        last[key] = Gap(
            stream=before.stream,
            seq=before.seq + 1,
            epoch=before.epoch,
            t_start_ns=before.t_end_ns,
            t_end_ns=min(before.t_end_ns + FRAME_NS, until_ns[key]),
            of=before.port,
            reason="end of recording",
        )
        yield last[key]
