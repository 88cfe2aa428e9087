"""When a segment is complete: in which of its frames should lips have had a say?

How far lips are trusted is known only when they and the voice have been there for a while (see ``trust``):
too late for the first word of a sentence.  Partials cannot wait for that, the words for good can: each frame
is judged by what was known a little later.  What has the say is then plain, and nothing is gained by words
between those of the sound and those of both.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nodes.perception.sync import FRAMES

# So much later, 1.5 s: what is known then rests on as much before the frame as after it.
LATER = FRAMES // 2
# The gate from which on lips are trusted.
TRUSTED = 0.5


class Say(NamedTuple):
    """What one head says of a frame: float32 [V]; the rest as in ``utterance.Frame``."""

    log_probs: np.ndarray
    heard_by: str
    temperature: float


class Choice(NamedTuple):
    """A frame of which sound alone tells something, and sound and lips together something else.

    gate: how far the lips were trusted when it came, 0..1.  trial: rises where trust begins anew.
    """

    sound: Say
    both: Say
    gate: float
    trial: int


def trusted(choices: Sequence[Choice | None]) -> list[bool]:
    """In which frames lips have a say, of all that are known of a segment, one after another; a frame without
    a choice is None, and False."""
    found: list[bool] = []
    last = len(choices) - 1  # of the frames that tell something of the same lips
    for i in reversed(range(len(choices))):
        choice, after = choices[i], choices[i + 1] if i < last else None
        if choice is None or after is None or after.trial != choice.trial:
            last = i
        known = choices[min(i + LATER, last)]
        found.append(choice is not None and known is not None and known.gate >= TRUSTED)
    return found[::-1]
