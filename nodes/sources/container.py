"""What is in a media file, and when, by the file's own clock?

Times are nanoseconds from the file's beginning: a container whose first timestamp is above zero (MPEG-TS) is
moved to zero as a whole, so sound and picture keep their distance.  Edit lists, encoder delay and padding are
applied by FFmpeg before a frame is seen here; what an edit list puts before zero is left out.
"""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import av.logging
import numpy as np
from av.stream import Disposition
from numpy.typing import NDArray

from nodes.runtime.errors import UserError
from nodes.runtime.messages import FRAME_SAMPLES, SAMPLE_RATE
from nodes.sources.picture import upright
from nodes.sources.resample import Resampler

SAMPLE_NS = 1_000_000_000 // SAMPLE_RATE  # 62500 exactly
# Timestamps rounded to a millisecond (Matroska) wander by less than this; more is a hole.
JITTER_NS = 10_000_000
SHORTEST_PICTURE_NS = 1_000_000
LONGEST_PICTURE_NS = 200_000_000

av.logging.set_level(av.logging.PANIC)  # what a reader needs to know is said once, by us


@dataclass(frozen=True)
class MediaInfo:
    """duration_ns: as the container announces it, 0 where it does not."""

    path: str
    duration_ns: int
    sound: bool
    picture: bool

    @property
    def name(self) -> str:
        return os.path.basename(self.path)


def probe(path: str) -> MediaInfo:
    """What the file announces; reads its header only.  Raises UserError for what cannot be played at all."""
    file = Path(path).expanduser()
    if not path or not file.exists():
        raise UserError(f"{path or 'media file'}: no such file; check the path")
    if file.is_dir():
        raise UserError(f"{path}: is a folder; name one media file in it")
    try:
        if file.is_file() and file.stat().st_size == 0:
            raise UserError(f"{path}: the file is empty (0 bytes); copy or record it again")
        with _opened(str(file)) as container:
            sound, picture = _stream(container, "audio"), _stream(container, "video")
            if sound is None and picture is None:
                raise UserError(
                    f"{path}: has neither sound nor picture that can be decoded; give another file"
                )
            duration_ns = max(0, container.duration or 0) * 1000
            return MediaInfo(str(file), duration_ns, sound is not None, picture is not None)
    except PermissionError as error:
        raise UserError(f"{path}: may not be read; change its permissions") from error
    except (av.FFmpegError, OSError) as error:
        why = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: not a playable media file, or cut off before its index ({why})") from error


def sound(path: str, damage: Counter[str]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Blocks of at most 40 ms: start in ns, float32 [n] at 16 kHz mono.

    Each begins where the last one ended, or after a hole.  Damaged packets count in ``damage``.
    """
    run = _Run(0)
    shape: tuple[str, str, int] | None = None
    origin = samples = rate = 0  # the input of this run: when it began, how much came, at what rate
    for frame, t in _frames(path, "audio", damage):
        end = origin + samples * 1_000_000_000 // rate if shape else 0
        t = end if t is None else t
        if t < (end - JITTER_NS if shape else 0):
            continue  # repeats what was given, or lies before the beginning
        if shape != (frame.format.name, frame.layout.name, frame.rate) or t - end > JITTER_NS:
            yield from run.end()
            shape, rate = (frame.format.name, frame.layout.name, frame.rate), frame.rate
            origin, samples = max(t, run.t_ns), 0
            run = _Run(origin)
        samples += frame.samples
        yield from run.feed(frame)
    yield from run.end()


class _Run:
    """Sound without a hole, cut into blocks; ``t_ns`` is when the next block begins."""

    def __init__(self, t_ns: int) -> None:
        self.t_ns = t_ns
        self._resampler = Resampler()
        self._pending = np.empty(0, np.float32)

    def feed(self, frame: av.AudioFrame) -> Iterator[tuple[int, NDArray[np.float32]]]:
        self._pending = np.concatenate([self._pending, self._resampler.feed(frame)])
        while self._pending.size >= FRAME_SAMPLES:
            yield self._block()

    def end(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        self._pending = np.concatenate([self._pending, self._resampler.flush()])
        while self._pending.size:
            yield self._block()

    def _block(self) -> tuple[int, NDArray[np.float32]]:
        t_ns, block = self.t_ns, self._pending[:FRAME_SAMPLES]
        self._pending = self._pending[FRAME_SAMPLES:]
        self.t_ns += block.size * SAMPLE_NS
        return t_ns, block


def pictures(path: str, damage: Counter[str], max_side: int) -> Iterator[tuple[int, int, NDArray[np.uint8]]]:
    """start in ns, period in ns, uint8 [height, width, 3] BGR, upright, longer side at most ``max_side``.

    The period is the frame's own duration where the container gives one, else that of the average rate; at
    most 200 ms, since a picture that stands longer tells nothing about lips.
    """
    end = 0
    with _opened(path) as container:
        stream = _stream(container, "video")
        average = float((stream.average_rate or stream.guessed_rate) if stream else 0) or 25.0
    for frame, t in _frames(path, "video", damage):
        t = end if t is None else t
        if t < 0:
            continue
        period = round((frame.duration or 0) * (frame.time_base or 0) * 1_000_000_000)
        if period < SHORTEST_PICTURE_NS:
            period = round(1_000_000_000 / average)
        period = min(max(period, SHORTEST_PICTURE_NS), LONGEST_PICTURE_NS)
        end = t + period
        yield t, period, upright(frame, max_side)


def _frames(
    path: str, kind: Literal["audio", "video"], damage: Counter[str]
) -> Iterator[tuple[Any, int | None]]:
    """Decoded frames of the best stream of a kind, in order of presentation, with their time if they have it.

    Sound and picture are read through two openings of the file: bad interleaving then needs no buffering.
    """
    with _opened(path) as container:
        stream = _stream(container, kind)
        if stream is None:
            return
        beginning = max(0, container.start_time or 0) * 1000
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:
                damage["unreadable end"] += 1
                return
            if packet is None:
                return
            try:
                frames = packet.decode()
            except av.FFmpegError:
                damage["damaged packets"] += 1
                continue
            for frame in frames:
                t: Fraction | None = None if frame.pts is None else frame.pts * frame.time_base
                yield frame, None if t is None else round(t * 1_000_000_000) - beginning


def _opened(path: str) -> Any:
    """Titles and the like need not be UTF-8: nobody reads them."""
    return av.open(path, metadata_errors="replace")


def _stream(container: Any, kind: Literal["audio", "video"]) -> Any:
    """The stream a player would choose, never a cover picture; None where none can be decoded."""
    streams = [container.streams.best(kind), *(s for s in container.streams if s.type == kind)]
    for stream in streams:
        if stream and stream.codec_context and not stream.disposition & Disposition.attached_pic:
            return stream
    return None
