"""Sound that has arrived and is not yet handed out: put in order, its holes known, its samples timed."""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from enum import Enum

import numpy as np

from nodes.runtime.messages import CHUNK_NS, CHUNK_SAMPLES, FRAME_SAMPLES, SAMPLE_RATE, Audio, Gap

# Blocks follow each other where the sequence number does and the clock agrees this far: clock models wander.
JOIN_NS = 20_000_000
# A block may be overtaken by this much later sound; after that it counts as lost.
REORDER_NS = 80_000_000
# A source whose time falls back by more than this has started over.
RESTART_NS = 1_000_000_000
MAX_QUEUE_NS = 40_000_000_000
MAX_BLOCKS = 8192
HALF_SAMPLE_NS = 500_000_000 // SAMPLE_RATE

_Key = tuple[int, int]


@dataclass(frozen=True)
class Sound:
    """samples: float32 [2560], one after the other as the device gave them.
    times_ns: host time of the start of each of the 4 frames and the end of the last.
    epoch: that of the source.
    """

    samples: np.ndarray
    times_ns: tuple[int, ...]
    epoch: int


class Look(Enum):
    WAIT = "what is missing may still come"
    HOLE = "some of it is missing for good"


def _key(message: Audio | Gap) -> _Key:
    return message.epoch, message.seq


def _time(block: Audio, sample: int) -> int:
    span, n = block.t_end_ns - block.t_start_ns, len(block.samples)
    return block.t_start_ns + span * sample // n if n else block.t_start_ns


class SoundTrack:
    """``put`` messages in any order; ``look`` for the chunk that starts at a time; ``take`` or ``skip`` it.

    mark_ns: sound is known, or known to be missing, up to here.  block_ns: how long the last block was.
    dropped: counts by rule: "duplicate", "late" (its place in the sequence has gone by), "overflow" (the
    oldest of more than 40 s or 8192 blocks).
    """

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()
        self.mark_ns: int | None = None
        self.block_ns = 0
        self._queue: list[Audio | Gap] = []
        self._done: _Key = (-1, -1)
        self._done_end_ns = 0
        self._newest: _Key = (-1, -1)
        self._newest_end_ns = 0
        self._locked = self._fresh = False
        self._offset = 0

    def put(self, message: Audio | Gap) -> bool:
        """True where the message shows that its source's time has fallen back: then only it is kept."""
        key = _key(message)
        begun = self._locked and (self._fresh or self._offset > 0)
        if key <= self._done or (begun and key < _key(self._queue[0])):
            self.dropped["late"] += 1
            return False
        restarted = key > self._newest and message.t_start_ns < self._newest_end_ns - RESTART_NS
        if restarted:
            self._queue.clear()
            self._locked, self.mark_ns = False, None
        place = bisect_left(self._queue, key, key=_key)
        if place < len(self._queue) and _key(self._queue[place]) == key:
            self.dropped["duplicate"] += 1
            return False
        self._queue.insert(place, message)
        if key > self._newest:
            self._newest, self._newest_end_ns = key, message.t_end_ns
        if isinstance(message, Audio):
            self.block_ns = message.t_end_ns - message.t_start_ns
        self.mark_ns = message.t_end_ns if self.mark_ns is None else max(self.mark_ns, message.t_end_ns)
        while len(self._queue) > 1 and (
            len(self._queue) > MAX_BLOCKS
            or self._queue[-1].t_end_ns - self._queue[0].t_start_ns > MAX_QUEUE_NS
        ):
            self._locked = False
            self._discard()
            self.dropped["overflow"] += 1
        return restarted

    def next_ns(self) -> int | None:
        """Where the sound that is waiting starts; None where none is."""
        return next((m.t_start_ns for m in self._queue if isinstance(m, Audio)), None)

    def look(self, start_ns: int) -> Sound | Look:
        """The chunk that starts at ``start_ns``: its sound, or what is known of it.

        Nothing is handed out by it; what ends before ``start_ns`` is dropped.
        """
        if not self._locked:
            self._seek(start_ns)
        pieces: list[np.ndarray] = []
        times: list[int] = []
        have, before, end_ns = 0, self._done, self._done_end_ns
        hole_ns, declared = start_ns, False
        for i, block in enumerate(self._queue):
            if not self._locked:
                declared = isinstance(block, Gap) and block.t_start_ns <= start_ns
                break
            first = self._offset if i == 0 else 0
            follows = first > 0 or (
                _key(block) == (before[0], before[1] + 1) and abs(block.t_start_ns - end_ns) <= JOIN_NS
            )
            if isinstance(block, Gap) or not (follows or (have == 0 and self._fresh)):
                hole_ns, declared = end_ns, isinstance(block, Gap)
                break
            last = min(len(block.samples), first + CHUNK_SAMPLES - have)
            while len(times) * FRAME_SAMPLES < have + last - first:
                times.append(_time(block, first + len(times) * FRAME_SAMPLES - have))
            pieces.append(block.samples[first:last])
            have += last - first
            before, end_ns = _key(block), block.t_end_ns
            if have == CHUNK_SAMPLES:
                times[0] = start_ns
                samples = np.concatenate(pieces).astype(np.float32, copy=False)
                return Sound(samples, (*times, _time(block, last)), block.epoch)
        else:
            return Look.WAIT
        needed = start_ns + CHUNK_NS if declared else max(start_ns + CHUNK_NS, hole_ns + REORDER_NS)
        known = self.mark_ns is not None and self.mark_ns >= needed
        return Look.HOLE if known else Look.WAIT

    def take(self) -> None:
        """Hand out the chunk that ``look`` found."""
        left = CHUNK_SAMPLES
        while left:
            block = self._queue[0]
            assert isinstance(block, Audio)
            n = min(left, len(block.samples) - self._offset)
            self._offset += n
            left -= n
            self._fresh = False
            if self._offset == len(block.samples):
                self._discard()

    def skip(self) -> None:
        """Give up the chunk that was looked for: the next ``look`` seeks its place by time."""
        self._locked = False

    @property
    def locked(self) -> bool:
        """Whether the next sample to be handed out is settled by the one before it."""
        return self._locked

    def _discard(self) -> None:
        block = self._queue.pop(0)
        self._done, self._done_end_ns, self._offset = _key(block), block.t_end_ns, 0

    def _seek(self, start_ns: int) -> None:
        # A sound that starts within half a sample of the place is on it.
        while self._queue and self._queue[0].t_end_ns <= start_ns + HALF_SAMPLE_NS:
            self._discard()
        if not self._queue:
            return
        block = self._queue[0]
        if isinstance(block, Audio) and block.t_start_ns <= start_ns + HALF_SAMPLE_NS:
            span = block.t_end_ns - block.t_start_ns
            late = max(0, start_ns - block.t_start_ns)
            self._offset = min(len(block.samples), (late * len(block.samples) + span // 2) // span)
            self._locked = self._fresh = True
