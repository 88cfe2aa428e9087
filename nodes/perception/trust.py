"""How far may lips have a say in the words?  A gate from 0, the words are those of the sound, to 1.

Lips are trusted by what can be told of anybody's: that they have moved with the voice for a while, neither
much later nor earlier, and that something can be read off them.  Words that the sound tells well are left to
it.  Where it tells next to nothing there is nothing for lips to go with, and nothing for them to spoil: then
it is enough that they can be read.  So a stranger's lips, those of another sentence and late ones stay out.

The gate is what is known with the chunk at hand, and partials go by it; for the words for good ``hindsight``
looks at it again.
"""

from collections.abc import Mapping

import numpy as np

from nodes.perception.sync import FRAMES, LAGS, Sync

SPOKEN = 0.5  # probability of voice
REACH = 3  # frames that lips may be late or early, 120 ms
PRIOR = 4.0  # frames of doubt: what is known of less is believed less
# Between which two values each counts from not at all to wholly: the mean likeness of voice and lips at the
# best lag; the probability of the likeliest word over spoken frames, by the lips, and by the sound (where it
# tells next to nothing, and where it needs no help); the spoken frames from which that is known.  They were
# set on clips that lips may be learnt from and on rendered strangers, NOTHING on clips kept out of that, too;
# ``benchmarks.never_worse`` judges them.
AGREE = (0.5, 0.65)
READ, READ_AT_ALL = (0.15, 0.3), (0.12, 0.25)
NOTHING, WELL = (0.02, 0.06), (0.3, 0.5)
ENOUGH = (4.0, 10.0)

Outputs = Mapping[str, np.ndarray]


class Trust:
    """``push`` what the audio and the video engine say of each chunk; ``reset`` for another face or voice."""

    def __init__(self) -> None:
        self.trial = 0
        self.reset()

    def reset(self) -> None:
        """Nothing is known any more; ``trial`` counts how often."""
        self.trial += 1
        self._sync = Sync()
        # Of the last frames: spoken, sure by sound, seen while spoken, sure by lips.
        self._recent = np.zeros((0, 4), np.float32)

    def push(self, sound: Outputs, lips: Outputs | None, valid: np.ndarray) -> float:
        """The gate from this chunk on, 0..1.

        sound, lips: outputs of the engines, of batch 1; lips None where there are none.  valid: float32
        [1,4], quality of each picture, 0 where there is none.
        """
        spoken = sound["voice"][0] >= SPOKEN
        seen = valid[0] > 0 if lips is not None else np.zeros(len(spoken), bool)
        shown = lips["agreement"][0] if lips is not None else np.zeros_like(sound["agreement"][0])
        self._sync.push(sound["agreement"][0], shown, spoken, seen)
        read = _surest(lips["log_probs"][0]) if lips is not None else np.zeros(len(spoken), np.float32)
        told = [spoken, spoken * _surest(sound["log_probs"][0]), spoken & seen, (spoken & seen) * read]
        self._recent = np.concatenate([self._recent, np.stack(told, axis=1).astype(np.float32)])[-FRAMES:]

        frames, heard, shared, sure = (float(total) for total in self._recent.sum(axis=0))
        heard, sure = heard / (frames + PRIOR), sure / (shared + PRIOR)
        together = ramp(self._agreement(), AGREE) * (1 - ramp(heard, WELL))
        deaf = (1 - ramp(heard, NOTHING)) * ramp(frames, ENOUGH)
        return max(together, deaf * ramp(sure, READ)) * ramp(sure, READ_AT_ALL)

    def _agreement(self) -> float:
        """Of voice and lips at the lag where it is highest; 0 where that is further off than REACH."""
        alike, pairs = self._sync.sums(FRAMES)
        curve = alike / (pairs + PRIOR)
        peak = int(curve.argmax())
        return float(curve[peak]) if abs(peak - LAGS) <= REACH else 0.0


def blend(sound: np.ndarray, both: np.ndarray, gate: float) -> np.ndarray:
    """log-probabilities [..., V] between two: those of the sound, bit for bit, where the gate is 0."""
    if gate == 0:
        return sound
    mixed = (1 - gate) * sound + gate * both
    top = mixed.max(axis=-1, keepdims=True)
    rest = np.log(np.exp(mixed - top).sum(axis=-1, keepdims=True))
    return (mixed - top - rest).astype(np.float32)  # type: ignore[no-any-return]


def ramp(value: float, ends: tuple[float, float]) -> float:
    return float(np.clip((value - ends[0]) / (ends[1] - ends[0]), 0.0, 1.0))


def _surest(log_probs: np.ndarray) -> np.ndarray:
    """Probability of the likeliest word in each frame; the blank is index 0."""
    return np.exp(log_probs[:, 1:].max(axis=-1))  # type: ignore[no-any-return]
