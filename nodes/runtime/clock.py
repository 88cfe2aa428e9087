"""When, by the host's clock, did a device capture something, given when it did by its own?

A sound card's crystal runs up to some hundred parts per million off, a camera's driver stamps frames with its
own clock, and all we see of either is when its data arrives: late by a little, sometimes a lot, never early.
The model is a line, host = device + offset + rate * device, fitted by least squares whose weights halve every
minute (recursive least squares with exponential forgetting; Haykin, Adaptive Filter Theory, ch. 10).
"""

import math
from typing import NamedTuple

# The first observations only give an offset, their lower quartile: first blocks often come in one late burst.
YOUNG = 25
# Farther than this and eight times the usual error from the line, an observation is an outlier: left out.
OUTLIER_S = 0.020
OUTLIER_ERRORS = 8.0
# Outliers all on one side for this long, or one as far off as this, are no outliers: the clock has jumped.
JUMP_CONFIRMED_NS = 1_000_000_000
JUMP_CONFIRMED_COUNT = 8
JUMP_AT_ONCE_S = 1.0
# No crystal is farther off than this.
MAX_RATE = 1e-3
# Nothing on a computer is more exact; a perfect clock must not make every later error an outlier, or a rate.
LEAST_ERROR_S = 0.0002
NOISE_FLOOR_S = 0.00001
# A rate counts from this many of its standard errors on; neighbouring errors are alike, so more than two.
SIGNIFICANT = 4.0
# A longer silence is forgotten as if it had been this long: without news, old news is the best there is.
LONGEST_STEP_S = 1.0


class _Astray(NamedTuple):
    """A run of outliers that are all late, or all early."""

    late: bool
    since_ns: int
    outliers: int


class ClockModel:
    """Maps a device's time to ``time.monotonic_ns()``; both in integer nanoseconds, of any origin.

    half_life_s: after this long an observation counts half.
    """

    _young: list[tuple[int, int]]
    _given: tuple[int, int] | None
    _astray: _Astray | None
    _latest: int

    def __init__(self, half_life_s: float = 60.0) -> None:
        self._half_life_s = half_life_s
        self._observed = False
        self._begin(0, 0)

    def observe(self, device_ns: int, host_ns: int) -> bool:
        """Learn that the device's clock showed ``device_ns`` when the host's showed ``host_ns``.

        Observations repeated or out of order are ignored.  True when the clock has jumped and the model has
        started over with this observation: another stretch of time begins, so the source raises its epoch.
        """
        if not self._observed:
            self._observed = True
            self._begin(device_ns, host_ns)
            return False
        error = (host_ns - self._line(device_ns)) / 1e9
        if self._has_jumped(error, host_ns):
            self._begin(device_ns, host_ns)
            return True
        if device_ns <= self._latest:
            return False
        if len(self._young) < YOUNG:
            self._latest = device_ns
            self._young.append((device_ns, host_ns))
            self._offset = self._offsets()[len(self._young) // 4]
            if len(self._young) == YOUNG:
                self._grow_up()
        elif abs(error) <= self._limit():
            self._latest = device_ns
            self._fit(device_ns, host_ns, error)
        return False

    def host_ns(self, device_ns: int) -> int:
        """The host's time at the device's ``device_ns``; never runs backwards until the clock jumps.

        Raises ValueError before the first observation.
        """
        if not self._observed:
            raise ValueError("the clock has not been observed yet")
        host_ns = self._line(device_ns)
        if self._given is not None:
            device, host = self._given
            if device_ns < device:
                return min(host_ns, host)
            host_ns = max(host_ns, host)
        self._given = device_ns, host_ns
        return host_ns

    @property
    def rate_ppm(self) -> float:
        """How much slower than the host's the device's clock runs, in ppm; 0 while it may be chance."""
        return self._rate * 1e6

    def report(self) -> dict[str, float]:
        """For ``status``: rate, and offset (the host's time less the device's) as of the latest observation.

        The uncertainties are SIGNIFICANT standard errors, since neighbouring errors are alike, and by how
        much the rate was shrunk; of a clock that has just begun to be observed they are the most there can
        be.  A delay that is always there is not in them: nothing here can see it.
        """
        rate_ppm, latest = MAX_RATE * 1e6, self._latest
        if len(self._young) < YOUNG or self._xx <= 0:
            offsets = self._offsets()
            uncertainty = max(LEAST_ERROR_S, (offsets[-1] - offsets[0]) / 1e9)
        else:
            variance = SIGNIFICANT**2 * self._variance(self._xy / self._xx)
            shrunk = abs(self._xy / self._xx - self._rate)
            rate_ppm = min(rate_ppm, 1e6 * (math.sqrt(variance / self._xx) + shrunk))
            uncertainty = math.sqrt(variance * (1 / self._weight + self._x**2 / self._xx))
            uncertainty += shrunk * abs(self._x)
        return {
            "rate_ppm": round(self.rate_ppm, 3),
            "rate_uncertainty_ppm": round(rate_ppm, 3),
            "offset_ms": round((self._line(latest) - latest) / 1e6, 3),
            "uncertainty_ms": round(uncertainty * 1e3, 3),
        }

    def _begin(self, device_ns: int, host_ns: int) -> None:
        self._latest = self._origin = device_ns
        self._young = [(device_ns, host_ns)]
        self._given = None
        self._astray = None
        # Everything below is about an origin that moves along, and the sums about their means, so that weeks
        # cost no precision: host - device = offset + y + rate * (device - origin - x), x and y in seconds.
        self._offset = host_ns - device_ns
        self._x = self._y = self._rate = 0.0
        self._weight = self._xx = self._xy = self._yy = 0.0
        self._error = LEAST_ERROR_S

    def _offsets(self) -> list[int]:
        return sorted(host_ns - device_ns for device_ns, host_ns in self._young)

    def _grow_up(self) -> None:
        self._error = max(LEAST_ERROR_S, (self._offset - self._offsets()[0]) / 1e9)
        offset = self._offset
        for device_ns, host_ns in self._young:
            self._fit(device_ns, host_ns, (host_ns - device_ns - offset) / 1e9)

    def _line(self, device_ns: int) -> int:
        x = (device_ns - self._origin) / 1e9 - self._x
        return device_ns + self._offset + round((self._y + self._rate * x) * 1e9)

    def _limit(self) -> float:
        return max(OUTLIER_S, OUTLIER_ERRORS * self._error)

    def _has_jumped(self, error: float, host_ns: int) -> bool:
        if abs(error) > JUMP_AT_ONCE_S:
            return True
        if abs(error) <= self._limit():
            self._astray = None
            return False
        if self._astray is None or self._astray.late != (error > 0):
            self._astray = _Astray(error > 0, host_ns, 0)
        self._astray = self._astray._replace(outliers=self._astray.outliers + 1)
        long = host_ns - self._astray.since_ns >= JUMP_CONFIRMED_NS
        return long and self._astray.outliers >= JUMP_CONFIRMED_COUNT

    def _fit(self, device_ns: int, host_ns: int, error: float) -> None:
        step = (device_ns - self._origin) / 1e9
        self._origin = device_ns
        self._x -= step
        kept = 0.5 ** (min(step, LONGEST_STEP_S) / self._half_life_s)
        # Huber's weight: beyond three usual errors an observation pulls no harder than one at three.
        weight = min(1.0, 3 * self._error / max(abs(error), 1e-12))
        self._error += (min(abs(error), 4 * self._error) - self._error) / 100
        self._error = max(self._error, LEAST_ERROR_S)

        y = (host_ns - device_ns - self._offset) / 1e9
        self._weight = kept * self._weight + weight
        dx, dy = -self._x, y - self._y
        self._x += weight / self._weight * dx
        self._y += weight / self._weight * dy
        self._xx = kept * self._xx + weight * dx * -self._x
        self._xy = kept * self._xy + weight * dx * (y - self._y)
        self._yy = kept * self._yy + weight * dy * (y - self._y)
        self._rate = self._significant_rate()

        whole = round(self._y * 1e9)
        self._offset += whole
        self._y -= whole / 1e9

    def _significant_rate(self) -> float:
        """The slope, shrunk to 0 while it may be chance: it sets in smoothly (the garrote; Breiman 1995)."""
        if self._xx <= 0 or self._xy == 0:
            return 0.0
        rate = self._xy / self._xx
        doubt = SIGNIFICANT**2 * self._variance(rate) / self._xx / rate**2
        return max(-MAX_RATE, min(MAX_RATE, rate)) * max(0.0, 1.0 - doubt)

    def _variance(self, rate: float) -> float:
        """Of one observation about the line with that slope, s**2."""
        return max(self._yy - rate * self._xy, self._weight * NOISE_FLOOR_S**2) / self._weight
