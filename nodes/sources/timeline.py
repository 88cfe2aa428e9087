"""In which order does a file hand out its sound and picture, and what fills the holes?

Like two devices would: sound when its block ends, a picture when it appears, and where there is neither,
a hole of 40 ms at a time, so that whoever reads one port never waits for the other.
"""

import heapq
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nodes.runtime.errors import UserError
from nodes.runtime.messages import FRAME_NS
from nodes.sources import container
from nodes.sources.container import SAMPLE_NS, MediaInfo

PORTS = ("audio", "picture")
# After this long without content a hole is certain: the next block of sound cannot begin within the first
# 40 ms of it, and a picture this late is more than the jitter of a variable frame rate.
PATIENCE_NS = 2 * FRAME_NS
TAIL_NS = 1_000_000_000


class Piece(NamedTuple):
    """What one port has for a stretch of the file: samples, an image, or the reason why nothing.

    due_ns: when to hand it out, in the file's time.
    """

    due_ns: int
    port: str
    t_start_ns: int
    t_end_ns: int
    content: NDArray[np.float32] | NDArray[np.uint8] | str


class Cut(NamedTuple):
    """A stretch of one port to withhold, as if the device had been away."""

    port: str
    t_start_ns: int
    t_end_ns: int

    @classmethod
    def parse(cls, text: str) -> "Cut":
        """ "audio 1.0-2.0" or "video 0.5-3": seconds of the file's time.  Raises UserError."""
        match = re.fullmatch(r"\s*(audio|video)\s+(\d+(?:\.\d+)?)\s*-\s*(\d+(?:\.\d+)?)\s*", text)
        if match is None or float(match[2]) >= float(match[3]):
            raise UserError(
                f'cut "{text}": write "audio FROM-TO" or "video FROM-TO" in seconds, such as "audio 1.0-2.5"'
            )
        port = "picture" if match[1] == "video" else "audio"
        return cls(port, round(float(match[2]) * 1e9), round(float(match[3]) * 1e9))


def timeline(info: MediaInfo, cuts: Sequence[Cut], max_side: int, damage: Counter[str]) -> Iterator[Piece]:
    """Every piece of a file in the order it is due; what a cut touches is withheld whole."""
    for piece in interleave(info, _sound(info, damage), _pictures(info, max_side, damage)):
        hit = any(
            cut.port == piece.port and cut.t_start_ns < piece.t_end_ns and piece.t_start_ns < cut.t_end_ns
            for cut in cuts
        )
        yield piece._replace(content="cut") if hit else piece


def interleave(info: MediaInfo, sound: Iterable[Piece], pictures: Iterable[Piece]) -> Iterator[Piece]:
    """Both ports in the order the pieces are due, holes filled, then a second of holes so that speech ends.

    Every port's pieces must come in order and not overlap.  Sound comes out without any hole; between
    pictures a hole shorter than 80 ms stays, since a variable frame rate has many.
    """
    fill = _Fill(info)
    for piece in heapq.merge(sound, pictures, key=lambda piece: piece.due_ns):
        yield from fill.before(piece)
        yield piece
    yield from fill.after()


def _sound(info: MediaInfo, damage: Counter[str]) -> Iterator[Piece]:
    if info.sound:
        for t, samples in container.sound(info.path, damage):
            end = t + samples.size * SAMPLE_NS
            yield Piece(end, "audio", t, end, samples)


def _pictures(info: MediaInfo, max_side: int, damage: Counter[str]) -> Iterator[Piece]:
    if info.picture:
        for t, period, image in container.pictures(info.path, damage, max_side):
            yield Piece(t, "picture", t, t + period, image)


class _Fill:
    """Knows how far each port has come; makes the holes that keep it within ``PATIENCE_NS`` of the other."""

    def __init__(self, info: MediaInfo) -> None:
        self.ends = dict.fromkeys(PORTS, 0)
        self.reasons = {
            "audio": f"{'no sound here' if info.sound else 'no sound'} in {info.name}",
            "picture": f"{'no picture here' if info.picture else 'no picture'} in {info.name}",
        }

    def before(self, piece: Piece) -> Iterator[Piece]:
        """The holes that come before ``piece``; counts it as given."""
        yield from self._until(piece.due_ns - PATIENCE_NS + FRAME_NS)
        shortest = 1 if piece.port == "audio" else PATIENCE_NS
        while (hole := piece.t_start_ns - self.ends[piece.port]) >= shortest:
            yield self._hole(piece.port, min(hole, FRAME_NS), self.reasons[piece.port])
        self.ends[piece.port] = max(self.ends[piece.port], piece.t_end_ns)

    def after(self) -> Iterator[Piece]:
        end = max(self.ends.values())
        yield from self._until(end)
        for port in PORTS:
            if self.ends[port] < end:
                yield self._hole(port, end - self.ends[port], self.reasons[port])
        for _ in range(TAIL_NS // FRAME_NS):
            for port in PORTS:
                yield self._hole(port, FRAME_NS, "end of file")

    def _until(self, t_ns: int) -> Iterator[Piece]:
        """Whole holes, earliest first, that end no later than ``t_ns``."""
        while (port := min(PORTS, key=self.ends.__getitem__)) and self.ends[port] + FRAME_NS <= t_ns:
            yield self._hole(port, FRAME_NS, self.reasons[port])

    def _hole(self, port: str, length_ns: int, reason: str) -> Piece:
        start = self.ends[port]
        self.ends[port] = start + length_ns
        return Piece(start + length_ns, port, start, start + length_ns, reason)
