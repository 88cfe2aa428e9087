"""How far is another host's clock from this one's?  From messages that go there and back (as in RFC 5905).

This host sends at ``sent_ns``, the other receives at ``received_ns`` and answers at ``answered_ns`` of its
own clock, the answer is here at ``here_ns``.  Nothing arrives before it is sent, so

    sent_ns - received_ns  <=  this clock - that clock  <=  here_ns - answered_ns

whatever the delays were, and however unlike there and back.  Of many exchanges the tightest bound on either
side counts: the quickest way there gives one, the quickest way back the other, also when they were not the
same exchange.  As clocks drift a bound loosens with its age; nothing else is assumed, so the truth is always
between the two.  The estimate is their middle, its uncertainty half their distance.
"""

# Two crystals, and a clock that is being slewed by NTP, run apart by no more than this.
DRIFT = 500e-6
# The first questions are asked while the connection is being made: they are late there, not late back.
NEEDED = 12
# What is applied follows the estimate at this rate, so that times stay in order; farther off it jumps.
SLEW = 5e-3
FAR_NS = 10_000_000


class HostClock:
    """``learn`` from exchanges, ``offset_ns`` to be added to that host's times.

    known: whether enough was learned since the beginning, or since the last step of a clock.
    steps: how often one of the clocks was found to have stepped, as after a host was suspended.
    delay_ns: there and back, of the last exchange.  learned_ns: when it was.
    """

    def __init__(self) -> None:
        self.steps = 0
        self.delay_ns = 0
        self.learned_ns = 0
        self._learned = 0
        self._low = self._high = 0.0  # at learned_ns
        self._applied: float | None = None
        self._applied_ns = 0

    @property
    def known(self) -> bool:
        return self._applied is not None

    def learn(self, sent_ns: int, received_ns: int, answered_ns: int, here_ns: int) -> None:
        """One exchange; one whose times cannot be is ignored."""
        if answered_ns < received_ns or here_ns < max(sent_ns, self.learned_ns):
            return
        # The clocks may have drifted since the message was sent, too.
        low = sent_ns - received_ns - DRIFT * (here_ns - sent_ns)
        high = here_ns - answered_ns + DRIFT * (here_ns - sent_ns)
        before_low, before_high = self._bounds(here_ns)
        if self._learned and (low > before_high or high < before_low):
            self.steps += 1
            self._learned, self._applied = 0, None
        if self._learned:
            low, high = max(low, before_low), min(high, before_high)
        self._low, self._high = low, high
        self._learned += 1
        self.learned_ns = here_ns
        self.delay_ns = (here_ns - sent_ns) - (answered_ns - received_ns)
        if self._applied is None and self._learned >= NEEDED:
            self._applied, self._applied_ns = (low + high) / 2, here_ns

    def offset_ns(self, now_ns: int) -> int:
        """What makes of a time of that host one of this; only once it is ``known``."""
        assert self._applied is not None
        target, most = (self._low + self._high) / 2, SLEW * max(0, now_ns - self._applied_ns)
        error = target - self._applied
        self._applied += error if abs(error) > FAR_NS else max(-most, min(most, error))
        self._applied_ns = now_ns
        return round(self._applied)

    def uncertainty_ns(self, now_ns: int) -> int:
        """The truth is within so much of ``offset_ns``; only once it is ``known``."""
        assert self._applied is not None
        low, high = self._bounds(now_ns)
        return round(max(high - self._applied, self._applied - low))

    def _bounds(self, now_ns: int) -> tuple[float, float]:
        loosened = DRIFT * (now_ns - self.learned_ns)
        return self._low - loosened, self._high + loosened
