"""What is known of one person's feelings: evidence that fades, an answer that moves smoothly."""

from dataclasses import dataclass, field

import numpy as np

from engines.sentiment.emotions import CIRCUMPLEX, EMOTIONS
from nodes.perception.experts import MODALITIES, Experts, Fused, Opinion

SECOND = 1_000_000_000
# How long evidence counts in full after it was had, and until it has faded, in seconds: a face changes at
# once, a voice in a sentence, and what was said holds for a while.
FULL_S = {"face": 0.4, "voice": 0.8, "words": 2.0}
FADED_S = {"face": 1.6, "voice": 3.0, "words": 6.0}
# The answer moves by at most this share of the way to new evidence with each message.  Valence lies within
# -1..1, and what is reachable within -0.9..0.95, so it never jumps by more than 0.28.
STEP = 0.15
# Another emotion is named once it leads by so much, in so many messages on end.
LEAD, INSISTENCE = 0.08, 2


@dataclass
class _Evidence:
    opinion: Opinion
    trust: float
    t_ns: int


@dataclass
class Person:
    """``learn`` what an expert says, ``answer`` a few times a second.

    emotions: probabilities float32 [7]; affect: valence and arousal; None before the first answer.
    """

    emotions: np.ndarray | None = None
    affect: np.ndarray | None = None
    emotion: str = ""
    _evidence: dict[str, _Evidence] = field(default_factory=dict)
    _rival: str = ""
    _insisted: int = 0

    def learn(self, modality: str, opinion: Opinion, trust: float, t_ns: int) -> None:
        """trust: 0..1, how far this much evidence of this quality can be relied on."""
        self._evidence[modality] = _Evidence(opinion, trust, t_ns)

    def latest(self, modality: str) -> Opinion | None:
        held = self._evidence.get(modality)
        return held.opinion if held else None

    def present(self, t_ns: int) -> dict[str, float]:
        """How much of each modality's evidence is left at ``t_ns``, 0..1."""
        left = {}
        for name, held in self._evidence.items():
            age = (t_ns - held.t_ns) / SECOND
            fading = (FADED_S[name] - age) / (FADED_S[name] - FULL_S[name])
            left[name] = held.trust * min(1.0, max(0.0, fading))
        return left

    def answer(self, experts: Experts, t_ns: int) -> Fused | None:
        """What is fused of the evidence there still is, the answer moved towards it; None without any."""
        present = {name: left for name, left in self.present(t_ns).items() if left > 0}
        self._evidence = {name: self._evidence[name] for name in MODALITIES if name in present}
        if not present:
            return None
        fused = experts.fuse({name: (self._evidence[name].opinion, present[name]) for name in present})
        if self.emotions is None or self.affect is None:
            self.emotions, self.affect = fused.emotions, fused.affect
        else:
            self.emotions = self.emotions + STEP * (fused.emotions - self.emotions)
            self.affect = self.affect + STEP * (fused.affect - self.affect)
        self._name(self.emotions)
        return fused

    def confidence(self) -> dict[str, float]:
        """Of the emotion its probability; of valence and arousal 1 less the spread of the emotions."""
        assert self.emotions is not None, "no answer yet"
        mean = self.emotions @ CIRCUMPLEX
        spread = np.sqrt(self.emotions @ (CIRCUMPLEX - mean) ** 2)
        return {
            "emotion": float(self.emotions[EMOTIONS.index(self.emotion)]),
            "valence": float(1 - spread[0]),
            "arousal": float(1 - spread[1]),
        }

    def _name(self, emotions: np.ndarray) -> None:
        best = EMOTIONS[int(emotions.argmax())]
        held = emotions[EMOTIONS.index(self.emotion)] if self.emotion else -1.0
        if best == self.emotion or emotions.max() < held + LEAD:
            self._rival, self._insisted = "", 0
            return
        self._insisted = self._insisted + 1 if best == self._rival else 1
        self._rival = best
        if not self.emotion or self._insisted >= INSISTENCE:
            self.emotion, self._rival, self._insisted = best, "", 0
