"""EmotiEffLib's ``enet_b0_8_va_mtl`` as the expert for faces: eight expressions, valence and arousal.

Savchenko, Facial expression and attributes recognition based on multi-task learning of lightweight neural
networks (SISY 2021): an EfficientNet-B0 trained on AffectNet.  As published it takes ``input`` float32
[N, 3, 224, 224], RGB, with ImageNet's mean and spread taken out, and gives one output [N, 10]: logits of
Anger, Contempt, Disgust, Fear, Happiness, Neutral, Sadness, Surprise, then valence and arousal.

hearsee has no contempt: what is believed of it counts as disgust, its neighbour in hostility (Izard, Human
Emotions, 1977).  The file gives no embedding, so a fusion that reads embeddings finds zeros there.  Its
logits are not calibrated: nothing is known of its ``temperature``, which is therefore 1.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.engine import Arrays, ModelError
from engines.net import Net
from engines.sentiment.emotions import EMOTIONS

SIDE = 224
MEAN, SPREAD = (np.array(v, np.float32) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
EXPRESSIONS = ("angry", "contempt", "disgust", "fear", "happy", "neutral", "sad", "surprise")
EMBEDDING = 64


class EmotiEff:
    """``run`` has the outputs of hearsee's own expert for faces.  Raises ModelError for another file."""

    temperature = 1.0

    def __init__(self, path: Path) -> None:
        self._net = Net(path)
        self._net.expect(["input"], [])
        self.run(np.zeros((SIDE, SIDE), np.uint8))

    def run(self, face: NDArray[Any]) -> Arrays:
        """face: uint8 [h, w], grey, or [h, w, 3], BGR, of any size: a whole face, level, forehead to chin.

        Returns logits float32 [1, 7] in the order of EMOTIONS, affect [1, 2], embedding [1, 64], zeros.
        """
        scores = self._net.run({"input": prepared(face)[None]})[0]
        if scores.shape != (1, len(EXPRESSIONS) + 2):
            raise ModelError(f"{self._net.path}: gives {list(scores.shape)}; not enet_b0_8_va_mtl")
        return {
            "logits": seven(scores[:, :-2]),
            "affect": np.clip(scores[:, -2:], -1.0, 1.0),
            "embedding": np.zeros((1, EMBEDDING), np.float32),
        }


def prepared(face: NDArray[Any]) -> NDArray[np.float32]:
    """float32 [3, 224, 224] out of uint8 [h, w] or [h, w, 3]."""
    colour = cv2.cvtColor(face, cv2.COLOR_GRAY2RGB if face.ndim == 2 else cv2.COLOR_BGR2RGB)
    large = cv2.resize(colour, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    scaled = (large.astype(np.float32) / 255.0 - MEAN) / SPREAD
    return np.ascontiguousarray(scaled.transpose(2, 0, 1))


def seven(logits: NDArray[Any]) -> NDArray[np.float32]:
    """Logits float32 [n, 7] in the order of EMOTIONS, out of those of EXPRESSIONS [n, 8]."""
    by_name = dict(zip(EXPRESSIONS, logits.T, strict=True))
    by_name["disgust"] = np.logaddexp(by_name["disgust"], by_name["contempt"])
    return np.stack([by_name[name] for name in EMOTIONS], axis=1).astype(np.float32)
