"""When was each sample captured?  What a sound card gives becomes 16 kHz mono with the host's times."""

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nodes.runtime.clock import ClockModel
from nodes.runtime.messages import SAMPLE_RATE
from nodes.sources.resample import Resampler, mono_frame

SAMPLE_NS = 1_000_000_000 // SAMPLE_RATE
BLOCK_SAMPLES = 320
# The clock model wanders by less than this from block to block; more is a hole, or samples too many.
JOIN_NS = 20_000_000
# After an overflow the card does not say how much was lost; less than this is not worth a hole.
LOST_NS = 5_000_000
# What the stream says of its delay counts as far as it has agreed with itself for this long, about 2.5 s.
STEADY_CALLBACKS = 100
LONGEST_DELAY_NS = 2_000_000_000


class Block(NamedTuple):
    """Sound of the host's ``[t_start_ns, t_end_ns)``: float32 [n] at 16 kHz mono.

    epoch: counts the jumps of the card's clock.
    """

    t_start_ns: int
    t_end_ns: int
    samples: NDArray[np.float32]
    epoch: int


@dataclass(frozen=True)
class Heard:
    """One callback.

    position: samples of each channel that the stream gave before this block, dropped ones included.
    arrived_ns: the host's clock when the callback began.
    delay_ns: how long before that the first sample was captured, by the stream's clock; 0 if unknown.
    samples: float32 [n, channels].
    overflow: samples were lost before this block.
    """

    position: int
    arrived_ns: int
    delay_ns: int
    samples: NDArray[np.float32]
    overflow: bool


class Intake:
    """Follows one opened stream of ``rate`` samples a second.

    The card's clock is its sample count, as regular as its crystal. Each callback observes it once: the
    block was complete when it arrived, so its first sample was captured its own length ago, and as much
    earlier as the stream steadily says. Only steadily: raw cards report their delay to the sample, but
    behind PulseAudio's ALSA plugin the report wanders by tens of milliseconds around sound that arrives
    to one (docs/time.md).
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._clock = ClockModel()
        self._jumps = 0
        self._lost_ns = 0
        self._beyond: deque[int] = deque(maxlen=STEADY_CALLBACKS)
        self._expected = 0
        self._end_ns: int | None = None
        self._pending = np.empty(0, np.float32)
        self._begin_run(0)

    @property
    def clock(self) -> dict[str, float] | None:
        """How the card's clock runs, for ``status``; None before the first callback."""
        return self._clock.report() if self._expected else None

    def feed(self, heard: Heard) -> list[Block]:
        blocks: list[Block] = []
        if heard.position != self._expected:
            blocks += self._end_run(heard.position)
        self._expected = heard.position + len(heard.samples)
        captured_ns = heard.arrived_ns - self._delay_ns(heard)
        if heard.overflow and self._end_ns is not None:
            lost = captured_ns - self._clock.host_ns(self._card_ns(heard.position))
            if lost > LOST_NS:
                blocks += self._end_run(heard.position)
                self._lost_ns += lost
                self._run_ns = self._card_ns(heard.position)
        if self._clock.observe(self._card_ns(heard.position), captured_ns):
            self._jumps += 1
        self._pending = np.concatenate(
            [self._pending, self._resampler.feed(mono_frame(heard.samples, self._rate))]
        )
        if self._pending.size >= BLOCK_SAMPLES:
            blocks.append(self._block())
        return blocks

    def _delay_ns(self, heard: Heard) -> int:
        length_ns = len(heard.samples) * 1_000_000_000 // self._rate
        believable = 0 <= heard.delay_ns < LONGEST_DELAY_NS
        self._beyond.append(heard.delay_ns - length_ns if believable else 0)
        if len(self._beyond) < STEADY_CALLBACKS:
            return length_ns
        least, most = min(self._beyond), max(self._beyond)
        return length_ns + max(0, least - (most - least))

    def _card_ns(self, position: int) -> int:
        return position * 1_000_000_000 // self._rate + self._lost_ns

    def _begin_run(self, position: int) -> None:
        self._resampler = Resampler()
        self._pending = np.empty(0, np.float32)
        self._run_ns = self._card_ns(position)  # the card's time of the first sample that is pending

    def _end_run(self, position: int) -> list[Block]:
        """What is left before a hole; the next run begins at ``position``."""
        self._pending = np.concatenate([self._pending, self._resampler.flush()])
        rest = [self._block()] if self._pending.size and self._end_ns is not None else []
        self._begin_run(position)
        return rest

    def _block(self) -> Block:
        samples, begin = self._pending, self._run_ns
        self._run_ns = begin + samples.size * SAMPLE_NS
        self._pending = np.empty(0, np.float32)
        start = self._clock.host_ns(begin)
        if self._end_ns is not None and abs(start - self._end_ns) < JOIN_NS:
            start = self._end_ns
        end = max(self._clock.host_ns(self._run_ns), start + 1)
        self._end_ns = end
        return Block(start, end, samples, self._jumps)
