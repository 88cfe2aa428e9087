"""The experts of sentiment at work: what a face, a voice and words say of an emotion, each and together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.engine import Arrays
from engines.sentiment.emotieff import EmotiEff
from engines.sentiment.emotions import EMOTIONS, softmax
from engines.sentiment.words.reader import Reader
from engines.speech.features import BANDS, LogMel
from engines.stream import Shapes, Stream
from nodes.runtime.messages import CHUNK_FRAMES, FACE_SIZE, Face

MODALITIES = ("face", "voice", "words")
EMBEDDING = 64
_SAYS: Shapes = {"logits": (1, len(EMOTIONS)), "affect": (1, 2), "embedding": (1, EMBEDDING)}


@dataclass(frozen=True)
class Opinion:
    """What one expert says: calibrated logits float32 [7], affect [2] (valence, arousal), embedding [64]."""

    logits: np.ndarray
    affect: np.ndarray
    embedding: np.ndarray

    def towards(self, other: "Opinion", share: float) -> "Opinion":
        """This one moved towards ``other``."""
        return Opinion(
            self.logits + share * (other.logits - self.logits),
            self.affect + share * (other.affect - self.affect),
            self.embedding + share * (other.embedding - self.embedding),
        )


@dataclass(frozen=True)
class Fused:
    """emotions: probabilities float32 [7]; affect: [2]; reliability: weight of each of MODALITIES."""

    emotions: np.ndarray
    affect: np.ndarray
    reliability: dict[str, float]


class Experts:
    """``expression``: a public expert for faces in place of the one in ``folder``.

    Raises ModelError where a file of ``folder`` is missing or is not the model its name says.
    """

    def __init__(self, folder: Path, expression: EmotiEff | None = None) -> None:
        count, classes = len(MODALITIES), len(EMOTIONS)
        self._expression = expression
        self._face = Stream(folder / "face.onnx", {"face": (1, FACE_SIZE, FACE_SIZE)}, {"face"})
        self._voice = Stream(folder / "voice.onnx", {"features": (1, 4 * CHUNK_FRAMES, BANDS)})
        self._words = Reader(folder / "words.onnx")
        self._fusion = Stream(
            folder / "fusion.onnx",
            {
                "opinions": (1, count, classes),
                "embeddings": (1, count, EMBEDDING),
                "affects": (1, count, 2),
                "present": (1, count),
            },
        )
        self._face.give(_SAYS)
        self._voice.give(_SAYS)
        self._fusion.give({"logits": (1, classes), "affect": (1, 2), "reliability": (1, count)})
        self._mel = LogMel()

    def forget_voice(self) -> None:
        """What is heard from now on is another's, or comes after a hole."""
        self._voice.reset()
        self._mel.reset()

    def see(self, face: Face) -> Opinion:
        """What the face shows; a public expert looks at the portrait where there is one."""
        if self._expression is None:
            return _opinion(self._face.run({"face": face.face[None]}), self._face.temperature)
        looked_at = face.face if face.portrait is None else face.portrait
        return _opinion(self._expression.run(looked_at), self._expression.temperature)

    def pass_over(self, samples: np.ndarray) -> None:
        """Sound in which nobody speaks: float32 [2560]."""
        self._mel.push(samples)

    def hear(self, samples: np.ndarray) -> Opinion:
        """One more chunk of a voice, float32 [2560]."""
        outputs = self._voice.run({"features": self._mel.push(samples)[None]})
        return _opinion(outputs, self._voice.temperature)

    def read(self, words: Sequence[str], before: Sequence[str]) -> Opinion:
        """words, before: what is being said, and what was before it."""
        return _opinion(self._words.read(words, before), self._words.temperature)

    def fuse(self, opinions: Mapping[str, tuple[Opinion, float]]) -> Fused:
        """opinions: by modality, each with how present it is, 0..1."""
        feeds = {
            "opinions": np.zeros((1, len(MODALITIES), len(EMOTIONS)), np.float32),
            "embeddings": np.zeros((1, len(MODALITIES), EMBEDDING), np.float32),
            "affects": np.zeros((1, len(MODALITIES), 2), np.float32),
            "present": np.zeros((1, len(MODALITIES)), np.float32),
        }
        for i, name in enumerate(MODALITIES):
            if name in opinions:
                opinion, present = opinions[name]
                feeds["opinions"][0, i], feeds["embeddings"][0, i] = opinion.logits, opinion.embedding
                feeds["affects"][0, i], feeds["present"][0, i] = opinion.affect, present
        outputs = self._fusion.run(feeds)
        emotions = softmax(outputs["logits"][0], self._fusion.temperature)
        weights = outputs["reliability"][0]
        return Fused(emotions, outputs["affect"][0], dict(zip(MODALITIES, map(float, weights), strict=True)))


def _opinion(outputs: Arrays, temperature: float) -> Opinion:
    return Opinion(
        outputs["logits"][0] / np.float32(temperature), outputs["affect"][0], outputs["embedding"][0]
    )
