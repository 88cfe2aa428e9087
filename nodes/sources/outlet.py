"""What does a device's port send: its messages numbered, and ``Gap`` wherever it had nothing?"""

from typing import Any, TypeVar

from nodes.runtime.messages import FRAME_NS, Audio, Gap, Picture
from nodes.runtime.node import Context

Content = TypeVar("Content", Audio, Picture)

# A gap is told this long after its time, so that a device that comes back is not cut short by it.
GAP_DELAY_NS = 60_000_000
# As long as a device works, it has stalled only when nothing came for this long.
STALL_NS = 300_000_000
# Whoever was away for longer than this is told so in one long Gap and not in many short ones.
LONG_NS = 1_000_000_000


class Outlet:
    """One port of one source.

    device: what people call it, in reasons.
    end_ns: up to here the port has told what it has; begins at the moment of opening.
    gap_end_ns: the end of its latest Gap.
    epoch: that of the latest message; the first device of this process has ``context.epoch``.
    """

    def __init__(self, context: Context, port: str, device: str) -> None:
        self._stream, self._port, self._seq = context.name, port, 0
        self._device, self._now_ns = device, context.now_ns
        self.epoch = context.epoch
        self.end_ns = self.gap_end_ns = self._sent_ns = context.now_ns()

    def send(
        self, kind: type[Content], epoch: int, t_start_ns: int, t_end_ns: int, **content: Any
    ) -> Content:
        self.epoch, self.end_ns, self._sent_ns = epoch, t_end_ns, self._now_ns()
        return kind(t_start_ns=t_start_ns, t_end_ns=t_end_ns, **self._stamp(), **content)

    def withhold(self, epoch: int, t_start_ns: int, t_end_ns: int, reason: str) -> Gap:
        """A Gap in place of content that came but is not to be trusted."""
        self.epoch, self.end_ns, self._sent_ns = epoch, t_end_ns, self._now_ns()
        return Gap(t_start_ns=t_start_ns, t_end_ns=t_end_ns, of=self._port, reason=reason, **self._stamp())

    def idle(self, absence: str | None) -> list[Gap]:
        """What is due when nothing came: gaps at pace while the device is absent, or once it stalls.

        absence: why there is nothing; None while the device works.
        """
        now_ns = self._now_ns()
        if absence is not None:
            self._sent_ns = now_ns
        elif now_ns - self._sent_ns < STALL_NS:
            return []
        return self._whole_gaps(now_ns - GAP_DELAY_NS, absence or f"{self._device} stalls")

    def _whole_gaps(self, until_ns: int, reason: str) -> list[Gap]:
        made = []
        if until_ns - self.end_ns > LONG_NS:
            made.append(self.gap(until_ns - LONG_NS, reason))
        while self.end_ns + FRAME_NS <= until_ns:
            made.append(self.gap(self.end_ns + FRAME_NS, reason))
        return made

    def gap(self, until_ns: int, reason: str) -> Gap:
        """One gap, from what was told last until ``until_ns``."""
        start, self.end_ns, self.gap_end_ns = self.end_ns, until_ns, until_ns
        return Gap(t_start_ns=start, t_end_ns=until_ns, of=self._port, reason=reason, **self._stamp())

    def _stamp(self) -> dict[str, Any]:
        self._seq += 1
        return {"stream": self._stream, "seq": self._seq - 1, "epoch": self.epoch}
