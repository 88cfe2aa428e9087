"""Emotion from a voice as it speaks: a causal convolutional network with attentive pooling, on one page.

Log-mel frames, brought to the mean power of the last seconds, go through strided convolutions (25 frames a
second), residual temporal convolutions (Bai et al. 2018), and are pooled over the last seconds: weighted mean
and deviation (attentive statistics pooling, Okabe et al. 2018), where a frame's weight also halves every
HALF_LIFE.  The network is a function of (features, state) and gives (outputs, state): a whole utterance in
training and one chunk live are the same code.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from engines.sentiment.emotions import CIRCUMPLEX
from engines.sentiment.voice.classes import to_emotions
from engines.speech.features import BANDS, MEAN, SPREAD

CHUNK = 16  # log-mel frames of 10 ms
STRIDE = 4  # of these to one frame inside
HALF_LIFE = 3.0  # seconds until what was heard counts half
QUIETEST = -10.0  # nats under the mean power; what is fainter is no part of the voice
State = dict[str, Tensor]


@dataclass(frozen=True)
class Size:
    """stem: channels of the four convolutions.  dilations: of the temporal blocks.  classes: RAVDESS's."""

    stem: tuple[int, int, int, int] = (32, 48, 64, 96)
    width: int = 192
    kernel: int = 5
    dilations: tuple[int, ...] = (1, 2, 4)
    heads: int = 4
    embedding: int = 64
    classes: int = 8
    dropout: float = 0.3


SIZE = Size()
# Kernel and stride in time of the stem's convolutions; in frequency each halves the bands.
_STEM = ((3, 2), (3, 1), (3, 2), (3, 1))


def fading(count: int, half_life: float, device: torch.device) -> Tensor:
    """float32 [count, count + 1]: the weight of each frame in each running sum; last, of the sum before."""
    t = torch.arange(count, device=device, dtype=torch.float32)
    age = t[:, None] - torch.cat([t, t.new_full((1,), -1.0)])[None]
    return torch.where(age >= 0, torch.exp2(-age.clamp(min=0) / half_life), 0.0)


class Temporal(nn.Module):
    """A residual block: causal dilated depthwise convolution, then two pointwise ones."""

    def __init__(self, size: Size, dilation: int) -> None:
        super().__init__()
        w = size.width
        self.reach = (size.kernel - 1) * dilation
        self.depthwise = nn.Conv1d(w, w, size.kernel, dilation=dilation, groups=w)
        self.depthwise_norm = nn.BatchNorm1d(w)
        self.expand, self.reduce = nn.Conv1d(w, 2 * w, 1), nn.Conv1d(2 * w, w, 1)
        self.drop = nn.Dropout(size.dropout)

    def forward(self, x: Tensor, cache: Tensor) -> tuple[Tensor, Tensor]:
        """x [B,W,T], cache [B,W,reach]."""
        y = torch.cat([cache.to(x.dtype), x], dim=2)
        cache = y[:, :, -self.reach :].float()
        y = F.silu(self.depthwise_norm(self.depthwise(y)))
        return x + self.drop(self.reduce(F.silu(self.expand(y)))), cache


class VoiceExpert(nn.Module):
    """``features`` float32 [B, 16 K, 80], log-mel as ``engines.speech.features`` makes it, gives for K chunks

    logits8: float32 [B, K, 8], RAVDESS's classes in its own order (``classes.CLASSES``);
    logits: float32 [B, K, 7] in the order of ``EMOTIONS``, calm counted as neutral;
    affect: float32 [B, K, 2], expected valence and arousal on the circumplex, no more than the logits tell;
    embedding: float32 [B, K, 64], what the logits are read from.
    """

    circumplex: Tensor
    temperature: Tensor

    def __init__(self, size: Size = SIZE) -> None:
        super().__init__()
        self.size = size
        channels = (1, *size.stem)
        self.stem = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(inner, outer, (kernel, 3), (stride, 2), (0, 1), bias=False), nn.BatchNorm2d(outer)
            )
            for inner, outer, (kernel, stride) in zip(channels, size.stem, _STEM, strict=False)
        )
        self.join = nn.Conv1d(size.stem[-1] * (BANDS // 16), size.width, 1)
        self.blocks = nn.ModuleList(Temporal(size, dilation) for dilation in size.dilations)
        self.attention = nn.Conv1d(size.width, size.heads, 1)
        self.pooled_norm = nn.LayerNorm(2 * size.width)
        self.drop = nn.Dropout(size.dropout)
        self.embed = nn.Linear(2 * size.width, size.embedding)
        self.head = nn.Linear(size.embedding, size.classes)
        self.register_buffer("circumplex", torch.from_numpy(CIRCUMPLEX.copy()))
        self.register_buffer("temperature", torch.ones(()))

    def initial(self, batch: int, device: torch.device) -> State:
        """Silence before the first chunk.

        stem [B, n], the convolutions' past frames, flat; blocks [B, W, reaches]; pool [B, 2 W + heads] and
        level [B, 2], running sums.
        """
        s = self.size
        count = sum(rows * c * b for rows, c, b in self._stem_caches())
        return {
            "stem": torch.zeros(batch, count, device=device),
            "blocks": torch.zeros(batch, s.width, sum(self._reaches()), device=device),
            "pool": torch.zeros(batch, 2 * s.width + s.heads, device=device),
            "level": torch.zeros(batch, 2, device=device),
        }

    def _stem_caches(self) -> list[tuple[int, int, int]]:
        """Frames, channels and bands that each convolution of the stem keeps."""
        channels = (1, *self.size.stem)
        return [(k - s, channels[i], BANDS // 2**i) for i, (k, s) in enumerate(_STEM)]

    def _reaches(self) -> list[int]:
        return [(self.size.kernel - 1) * dilation for dilation in self.size.dilations]

    def forward(self, features: Tensor, state: State) -> tuple[dict[str, Tensor], State]:
        with torch.autocast(features.device.type, enabled=False):
            x, level = self.levelled(features.float(), state["level"])
        x, stem = self.subsampled(x, state["stem"])
        blocks, first = [], 0
        for block, reach in zip(self.blocks, self._reaches(), strict=True):
            x, kept = block(x, state["blocks"][:, :, first : first + reach])
            blocks.append(kept)
            first += reach
        with torch.autocast(features.device.type, enabled=False):
            pooled, pool = self.pooled(x.float(), state["pool"])
            embedding = self.embed(self.drop(self.pooled_norm(pooled)))
            logits8 = self.head(F.relu(embedding))
            logits = to_emotions(logits8)
            affect = (logits / self.temperature).softmax(-1) @ self.circumplex
        outputs = {"logits": logits, "logits8": logits8, "affect": affect, "embedding": embedding}
        return outputs, {"stem": stem, "blocks": torch.cat(blocks, 2), "pool": pool, "level": level}

    def levelled(self, features: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """Log-mel [B,T,80] against the last seconds' mean power: the microphone's distance drops out."""
        power = (SPREAD * features + MEAN).exp().mean(2)  # [B,T]
        added = torch.stack([power, torch.ones_like(power)], 2)
        weights = fading(power.shape[1], HALF_LIFE * 100, features.device)
        sums = weights @ torch.cat([added, before[:, None]], 1)  # [B,T,2]
        reference = (sums[:, :, 0] / sums[:, :, 1]).log()
        relative = SPREAD * features + MEAN - reference[:, :, None]
        return (relative.clamp(min=QUIETEST) - QUIETEST / 2) / SPREAD, sums[:, -1]

    def subsampled(self, x: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """[B,T,80] -> [B,W,T/4]."""
        x, kept, first = x[:, None], [], 0
        for layer, (rows, channels, bands) in zip(self.stem, self._stem_caches(), strict=True):
            size = rows * channels * bands
            cache = before[:, first : first + size].reshape(-1, channels, rows, bands)
            first += size
            x = torch.cat([cache.to(x.dtype), x], dim=2)  # causal: the past, none of the future
            kept.append(x[:, :, -rows:].flatten(1).float())
            x = F.silu(layer(x))
        x = F.silu(self.join(x.permute(0, 1, 3, 2).flatten(1, 2)))
        return x, torch.cat(kept, 1)

    def pooled(self, x: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """[B,W,T] -> mean and deviation [B, T/4, 2 W] of the last seconds, at the end of each chunk."""
        b, w, t = x.shape
        heads, each = self.size.heads, CHUNK // STRIDE
        score = 5 * torch.tanh(self.attention(x) / 5)  # bounded: one frame must not silence all before it
        weight = score.exp()  # [B,H,T]
        parted = x.reshape(b, heads, w // heads, t)
        first = (parted * weight[:, :, None]).flatten(1, 2)
        second = (parted.square() * weight[:, :, None]).flatten(1, 2)
        added = torch.cat([first, second, weight], 1).transpose(1, 2)  # [B,T,2W+H]
        weights = fading(t, HALF_LIFE * 100 / STRIDE, x.device)[each - 1 :: each]
        sums = weights @ torch.cat([added, before[:, None]], 1)  # [B,K,2W+H]
        total = sums[:, :, 2 * w :].repeat_interleave(w // heads, dim=2)
        mean = sums[:, :, :w] / total
        deviation = (sums[:, :, w : 2 * w] / total - mean.square()).clamp(min=1e-4).sqrt()
        return torch.cat([mean, deviation], 2), sums[:, -1]
