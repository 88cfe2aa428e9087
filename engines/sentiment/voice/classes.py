"""RAVDESS's eight classes, and how they answer in the seven emotions."""

import torch
from torch import Tensor

from engines.sentiment.emotions import EMOTIONS

# In the order of the third number of a file's name, 01 to 08.
CLASSES = ("neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "surprise")
EMOTION_OF = tuple(EMOTIONS.index("neutral" if name == "calm" else name) for name in CLASSES)


def to_emotions(logits: Tensor) -> Tensor:
    """[..., 8] in the order of CLASSES -> [..., 7] in the order of EMOTIONS.

    Calm counts as neutral: their probabilities add (log-sum-exp), so those of the others stay as they were.
    """
    columns = [
        logits[..., [i for i, emotion in enumerate(EMOTION_OF) if emotion == k]].logsumexp(-1)
        for k in range(len(EMOTIONS))
    ]
    return torch.stack(columns, -1)
