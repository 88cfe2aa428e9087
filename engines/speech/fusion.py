"""The network that reads speech from what the other two make of sound and lips, and where they meet in it."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from engines.speech.model import Attention, Conformer, Size, State, sight

FUSIONS = ("early", "intermediate", "late", "hybrid")


class Fusion(nn.Module):
    """Both encodings to words.  Where they meet is ``size.fusion``:

    - early: in the first block, side by side, each as far as a gate lets it; the blocks say the words;
    - intermediate: the same, but the sound attends to the lips (cross-attention), be they early or late;
    - late: the blocks only weigh what each branch believes, by the branches' own frozen heads;
    - hybrid: late, and the blocks add what only both together tell.

    Masks say what is there, a learned vector stands in for what is not.
    """

    def __init__(self, size: Size) -> None:
        super().__init__()
        assert size.fusion in FUSIONS, f"fusion {size.fusion!r}: one of {', '.join(FUSIONS)}"
        self.size = size
        w = size.width
        self.weighs, self.says = size.fusion in ("late", "hybrid"), size.fusion != "late"
        self.audio_norm, self.video_norm = nn.LayerNorm(w), nn.LayerNorm(w)
        self.missing = nn.Parameter(torch.zeros(2, w))
        self.join = nn.Linear(2 * w + 2, w)
        self.gate = nn.Linear(w if self.weighs else 2 * w + 2, 2)
        self.body = Conformer(size, size.fusion_layers)
        self.voice = nn.Linear(w, 1)
        if size.fusion == "intermediate":
            self.cross = Attention(size)
        if self.weighs:
            self.audio_words, self.video_words = nn.Linear(w, size.tokens), nn.Linear(w, size.tokens)
        if self.says:
            self.words = nn.Linear(w, size.tokens)
            nn.init.zeros_(self.words.weight)
            nn.init.zeros_(self.words.bias)

    def initial(self, batch: int, device: torch.device) -> State:
        state = self.body.initial(batch, device)
        if self.size.fusion == "intermediate":
            keys = torch.zeros(batch, 2, self.size.context, self.size.width, device=device)
            state["attention"] = torch.cat([state["attention"], keys], dim=1)
        return state

    def forward(
        self, audio: Tensor, video: Tensor, audio_valid: Tensor, video_valid: Tensor, state: State
    ) -> tuple[dict[str, Tensor], State]:
        """audio, video [B,T,W], valid [B,T] in 0..1 -> log_probs, voice, reliability [B,T,2]."""
        valid = torch.stack([audio_valid, video_valid], dim=-1)
        there = (valid > 0).float()
        a = torch.where(there[..., :1] > 0, self.audio_norm(audio), self.missing[0])
        v = torch.where(there[..., 1:] > 0, self.video_norm(video), self.missing[1])
        reliability = there
        if not self.weighs:
            reliability = self.gate(torch.cat([a, v, valid], dim=-1)).float().sigmoid() * there
            a, v = a * reliability[..., :1], v * reliability[..., 1:]
        kept = None
        if self.size.fusion == "intermediate":
            mask, distance, _ = sight(a, state["seen"])
            v, kept = self.cross(a, state["attention"][:, -2:], mask, distance, v)
        x, new, _ = self.body(self.join(torch.cat([a, v, valid], dim=-1)), state)
        if kept is not None:
            new["attention"] = torch.cat([new["attention"], kept], dim=1)
        logits = self.words(x).float() if self.says else 0.0
        if self.weighs:
            reliability = self.gate(x).float().sigmoid() * there
            logits = logits + reliability[..., :1] * self.audio_words(audio).float().log_softmax(-1)
            logits = logits + reliability[..., 1:] * self.video_words(video).float().log_softmax(-1)
        outputs = {
            "log_probs": logits.log_softmax(-1),  # type: ignore[union-attr]
            "voice": self.voice(x)[..., 0].float().sigmoid(),
            "reliability": reliability,
        }
        return outputs, new


def fusion_of(weights: Mapping[str, Tensor]) -> str:
    """Which of FUSIONS the weights of a ``Fusion`` are of."""
    if "cross.bias" in weights:
        return "intermediate"
    if "audio_words.weight" not in weights:
        return "early"
    return "hybrid" if "words.weight" in weights else "late"
