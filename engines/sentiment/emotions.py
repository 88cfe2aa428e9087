"""The seven emotions that every expert and the fusion answer in, and where each lies in valence and arousal.

The coordinates are approximate: those of angry, disgusted, afraid, happy, sad and astonished in Scherer's
version (What are emotions?, Social Science Information 44(4), 2005) of Russell's circumplex of affect (J.
Personality and Social Psychology 39(6), 1980), as Paltoglou and Thelwall use them for text (Seeing stars of
valence and arousal in blog posts, IEEE Trans. Affective Computing 4(1), 2013); neutral is the centre.  They
are a convention, not a measurement: valence and arousal that come from them say nothing that the seven
probabilities do not.
"""

import numpy as np
from numpy.typing import NDArray

EMOTIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")

# valence, arousal in -1..1
CIRCUMPLEX: NDArray[np.float32] = np.array(
    [[-0.40, 0.79], [-0.67, 0.49], [-0.12, 0.79], [0.89, 0.17], [0.0, 0.0], [-0.81, -0.40], [0.42, 0.88]],
    np.float32,
)


def softmax(logits: NDArray[np.float32], temperature: float = 1.0) -> NDArray[np.float32]:
    """Probabilities over the last axis, of ``logits`` divided by ``temperature``."""
    scaled = logits / np.float32(temperature)
    grown: NDArray[np.float32] = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return grown / grown.sum(axis=-1, keepdims=True)


def affect(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Expected valence and arousal float32 [..., 2] of the emotions' ``probabilities`` [..., 7]."""
    return probabilities @ CIRCUMPLEX
