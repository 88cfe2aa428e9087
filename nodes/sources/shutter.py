"""When was each picture taken?  By the driver's own time where there is one, else by its arrival."""

from nodes.runtime.clock import ClockModel

# A driver's time this little before its arrival is of the host's own clock.
OWN_CLOCK_NS = 1_000_000_000
FIRST_PERIOD_NS = 40_000_000
SHORTEST_PERIOD_NS = 4_000_000
LONGEST_PERIOD_NS = 200_000_000


class Shutter:
    """Follows one opened camera.

    latency_ns: from the shutter to the arrival of a picture, where no driver tells; the user measured it.
    period_ns: between pictures of late.  jumps: how often the driver's clock has jumped.
    """

    def __init__(self, latency_ns: int) -> None:
        self._latency_ns = latency_ns
        self._clock = ClockModel()
        self._last_ns: int | None = None
        self._steps = 0
        self._own_clock = False
        self.period_ns = FIRST_PERIOD_NS
        self.jumps = 0

    @property
    def clock(self) -> dict[str, float] | None:
        """How the camera's clock runs, for ``status``; None where there is only the host's."""
        return self._clock.report() if self._own_clock else None

    def taken_ns(self, arrived_ns: int, driver_ns: int | None) -> int:
        """The host's time of a picture.

        V4L2 drivers stamp frames with the host's monotonic clock as a rule: that is the answer.  Of a clock
        of the camera's own (RTSP) only the pace is known: it smooths the arrivals less the latency.
        """
        if driver_ns is None:
            taken = arrived_ns - self._latency_ns
        elif 0 <= arrived_ns - driver_ns < OWN_CLOCK_NS:
            taken = driver_ns
        else:
            self._own_clock = True
            self.jumps += self._clock.observe(driver_ns, arrived_ns - self._latency_ns)
            taken = self._clock.host_ns(driver_ns)
        if self._last_ns is not None:
            step = min(max(taken - self._last_ns, SHORTEST_PERIOD_NS), LONGEST_PERIOD_NS)
            self._steps += 1
            self.period_ns += (step - self.period_ns) // min(self._steps, 8)
        self._last_ns = taken
        return taken
