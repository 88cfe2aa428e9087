"""A media file as a source: its sound and its picture with their own timestamps, at any speed."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import ClassVar

from nodes.runtime.errors import UserError
from nodes.runtime.messages import Audio, Gap, Message, Picture
from nodes.runtime.node import Context
from nodes.sources.ahead import Ahead, check_speed
from nodes.sources.container import MediaInfo, probe
from nodes.sources.timeline import PORTS, Cut, Piece, timeline

log = logging.getLogger(__name__)

MISSING_END_NS = 500_000_000


class Media:
    """Plays one file.

    path: the file.
    speed: 1 is real time, 2 twice that; 0 as fast as the pipeline takes it.  The times in the messages
        advance as the file's own at every speed: ``t = t0 + file time``, where t0 is the moment of the start,
        and 0 at speed 0 so that a replay gives the same messages.
    loop: start again at the end, for ever; ``epoch`` rises each time.
    cut: stretches to withhold as if the device had been away: "audio 1.0-2.0", "video 0.5-3", in seconds.
    max_side: pictures are shrunk until their longer side is at most this many pixels.

    A port the file has nothing for gets ``Gap`` at pace; the end is a second of ``Gap`` on both.
    """

    inputs: ClassVar[tuple[str, ...]] = ()
    outputs: ClassVar[tuple[str, ...]] = PORTS

    def __init__(
        self,
        *,
        path: str,
        speed: float = 1.0,
        loop: bool = False,
        cut: Sequence[str] = (),
        max_side: int = 640,
    ) -> None:
        self.path = path
        self.speed = speed
        self.loop = loop
        self.cut = cut
        self.max_side = max_side
        self._ahead: Ahead | None = None

    def open(self, context: Context) -> None:
        """Raises UserError for a file that cannot be played and for options that make no sense."""
        check_speed(self.speed)
        if self.max_side < 16:
            raise UserError(f"max_side {self.max_side}: give at least 16 pixels")
        cuts = [Cut.parse(text) for text in self.cut]
        info = probe(self.path)
        self._ahead = Ahead(context, self._play(context, info, cuts))

    def step(self, messages: Sequence[Message]) -> list[Message]:
        return self._ahead.take() if self._ahead is not None else []

    def close(self) -> None:
        if self._ahead is not None:
            self._ahead.close()

    @property
    def finished(self) -> bool:
        """Everything has been handed out."""
        return self._ahead is not None and self._ahead.finished

    def _play(
        self, context: Context, info: MediaInfo, cuts: list[Cut]
    ) -> Iterator[tuple[int | None, Message]]:
        seq = dict.fromkeys(PORTS, 0)
        epoch, offset_ns, t0_ns = context.epoch, 0, None
        reported = False
        while True:
            damage: Counter[str] = Counter()
            played_ns = end_ns = 0
            for piece in timeline(info, cuts, self.max_side, damage):
                if t0_ns is None:  # once the first frames are decoded, so that opening the file delays none
                    t0_ns = context.now_ns() if self.speed else 0
                due_ns = t0_ns + round((offset_ns + piece.due_ns) / self.speed) if self.speed else None
                yield due_ns, _message(piece, context.name, seq[piece.port], epoch, t0_ns + offset_ns)
                seq[piece.port] += 1
                end_ns = max(end_ns, piece.t_end_ns)
                if not isinstance(piece.content, str):
                    played_ns = max(played_ns, piece.t_end_ns)
            reported = reported or _report(info, played_ns, damage)
            if not self.loop:
                return
            epoch, offset_ns = epoch + 1, offset_ns + end_ns


def _message(piece: Piece, stream: str, seq: int, epoch: int, t0_ns: int) -> Message:
    start, end = t0_ns + piece.t_start_ns, t0_ns + piece.t_end_ns
    if isinstance(piece.content, str):
        reason = piece.content
        return Gap(
            stream=stream, seq=seq, epoch=epoch, t_start_ns=start, t_end_ns=end, of=piece.port, reason=reason
        )
    if piece.port == "audio":
        return Audio(
            stream=stream, seq=seq, epoch=epoch, t_start_ns=start, t_end_ns=end, samples=piece.content
        )
    return Picture(stream=stream, seq=seq, epoch=epoch, t_start_ns=start, t_end_ns=end, image=piece.content)


def _report(info: MediaInfo, played_ns: int, damage: Counter[str]) -> bool:
    """One line, when less was played than the file announces; whether there was one to say."""
    faults = [f"{what}: {count}" for what, count in damage.items()]
    if info.duration_ns - played_ns > MISSING_END_NS:
        faults.insert(
            0, f"ends at {played_ns / 1e9:.1f} s of the {info.duration_ns / 1e9:.1f} s it announces"
        )
    if faults:
        log.warning(
            "%s: %s; the file is truncated or damaged, what could be read was played",
            info.path,
            ", ".join(faults),
        )
    return bool(faults)
