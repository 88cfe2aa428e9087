"""Where speech begins and ends, from a probability of voice for each frame."""

from enum import Enum

from nodes.runtime.errors import UserError
from nodes.runtime.messages import FRAME_NS


class Turn(Enum):
    NONE = "as before"
    STARTED = "speech has begun, ``min_frames`` frames ago"
    ENDED = "speech has ended, ``hangover`` frames ago"


class Segmenter:
    """Hysteresis twice: in probability and in time.

    Speech begins with ``min_frames`` frames in a row of at least ``onset``, and ends with ``hangover_ms`` in
    which no frame reached ``offset``: a pause within a sentence is shorter than that.  UserError for settings
    that make no sense.
    """

    def __init__(self, onset: float = 0.5, offset: float = 0.35, min_frames: int = 2, hangover_ms: int = 400):
        if not 0 < offset <= onset < 1:
            raise UserError(f"onset {onset:g}, offset {offset:g}: give probabilities, offset not above onset")
        if not 40 <= hangover_ms <= 5000:
            raise UserError(f"hangover_ms {hangover_ms}: give milliseconds from 40 to 5000")
        self.onset, self.offset, self.min_frames = onset, offset, min_frames
        self.hangover = max(1, hangover_ms * 1_000_000 // FRAME_NS)
        self.reset()

    def reset(self) -> None:
        self.speaking = False
        self._voiced = self.unvoiced = 0

    def push(self, probability: float) -> Turn:
        """unvoiced: frames since the last one that reached ``offset``."""
        self._voiced = self._voiced + 1 if probability >= self.onset else 0
        self.unvoiced = 0 if probability >= self.offset else self.unvoiced + 1
        if not self.speaking and self._voiced >= self.min_frames:
            self.speaking = True
            return Turn.STARTED
        if self.speaking and self.unvoiced >= self.hangover:
            self.speaking = False
            return Turn.ENDED
        return Turn.NONE
