"""Is a microphone muted, or turned up too far?  It gives sound all the same."""

import numpy as np
from numpy.typing import NDArray

# Exact zeros for so long: a microphone that is on hears its own noise.
MUTED_S = 5.0
# Samples this close to the largest there is have been cut off; speech that is merely loud has few of them.
FULL_SCALE = 0.999
CLIPPED = 0.002
WINDOW_S = 1.0
# Who speaks too loud pauses too; so long it is told after the last clipped second.
HELD_WINDOWS = 5


class Level:
    """Listens to the sound of one opened stream, before anything is done to it."""

    def __init__(self, device: int | str, rate: int) -> None:
        self._device = device
        self._rate = rate
        self._zeros = 0
        self._heard = self._clipped = 0
        self._share = 0.0
        self._held = 0

    def hear(self, samples: NDArray[np.float32]) -> None:
        """samples: float32 [n, channels] in -1..1."""
        sounding = np.flatnonzero(samples.any(axis=1))
        self._zeros = len(samples) - 1 - int(sounding[-1]) if sounding.size else self._zeros + len(samples)
        self._heard += samples.size
        self._clipped += int(np.count_nonzero(np.abs(samples) >= FULL_SCALE))
        if self._heard >= WINDOW_S * self._rate * samples.shape[1]:
            share, self._heard, self._clipped = self._clipped / self._heard, 0, 0
            self._held = max(0, self._held - 1)
            if share >= CLIPPED:
                self._share, self._held = share, HELD_WINDOWS

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong, in a few words for a person."""
        if self._zeros >= MUTED_S * self._rate:
            return (f"microphone '{self._device}' gives nothing but zeros, is it muted",)
        if self._held:
            return (f"microphone '{self._device}' is too loud, {self._share:.1%} of the sound is cut off",)
        return ()
