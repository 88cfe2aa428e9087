"""Emotion from one face: a small residual network with squeeze-and-excitation; the whole model on one page.

Residual blocks (He et al. 2016) whose channels are weighed by what the whole picture shows (squeeze and
excitation, Hu et al. 2018).  Each picture is brought to its own mean and spread first, so exposure and
contrast cost nothing to learn.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from engines.sentiment.emotions import CIRCUMPLEX, EMOTIONS
from nodes.runtime.messages import FACE_SIZE

INNER = 48  # pixels a side inside the network: what FER2013 holds


@dataclass(frozen=True)
class Size:
    """widths: channels of the stem and of each stage; every stage halves the side.  blocks: of each stage."""

    widths: tuple[int, ...] = (24, 40, 80, 176)
    blocks: tuple[int, ...] = (1, 2, 2)
    embedding: int = 64
    dropout: float = 0.2


SIZE = Size()


class Block(nn.Module):
    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.first, self.first_norm = nn.Conv2d(inner, outer, 3, stride, 1, bias=False), nn.BatchNorm2d(outer)
        self.second, self.second_norm = nn.Conv2d(outer, outer, 3, 1, 1, bias=False), nn.BatchNorm2d(outer)
        self.squeeze, self.excite = nn.Linear(outer, outer // 8), nn.Linear(outer // 8, outer)
        same = inner == outer and stride == 1
        self.shortcut = (
            nn.Identity()
            if same
            else nn.Sequential(nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer))
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.second_norm(self.second(F.relu(self.first_norm(self.first(x)))))
        weight = self.excite(F.relu(self.squeeze(y.mean((2, 3))))).sigmoid()
        return F.relu(y * weight[:, :, None, None] + self.shortcut(x))


class FaceExpert(nn.Module):
    """``face`` uint8 [n, 64, 64], grey, as ``nodes.perception.crop.face_framing`` cuts it, gives

    logits: float32 [n, 7] in the order of ``EMOTIONS``;
    affect: float32 [n, 2], expected valence and arousal on the circumplex, no more than the logits tell;
    embedding: float32 [n, 64], what the logits are read from.
    caution: by how much the logits are divided, in logarithms, for each time (e) that one side is darker.
    """

    resample: Tensor
    circumplex: Tensor
    temperature: Tensor
    caution: Tensor

    def __init__(self, size: Size = SIZE) -> None:
        super().__init__()
        self.size = size
        w = size.widths
        self.stem, self.stem_norm = nn.Conv2d(1, w[0], 3, 1, 1, bias=False), nn.BatchNorm2d(w[0])
        stages: list[nn.Module] = []
        for inner, outer, count in zip(w, w[1:], size.blocks, strict=False):
            stages += [Block(inner if i == 0 else outer, outer, 2 if i == 0 else 1) for i in range(count)]
        self.stages = nn.Sequential(*stages)
        self.drop = nn.Dropout(size.dropout)
        self.embed = nn.Linear(w[-1], size.embedding)
        self.head = nn.Linear(size.embedding, len(EMOTIONS))
        self.register_buffer("resample", linear_resampling(FACE_SIZE, INNER))
        self.register_buffer("circumplex", torch.from_numpy(CIRCUMPLEX.copy()))
        self.register_buffer("temperature", torch.ones(()))
        self.register_buffer("caution", torch.zeros(()))

    def forward(self, face: Tensor) -> dict[str, Tensor]:
        with torch.autocast(face.device.type, enabled=False):  # bfloat16 has no 256 grey levels
            x = self.resample @ face.float() @ self.resample.T  # [n,48,48]
            aside = one_sided(x)
            x = x - x.mean(dim=(1, 2), keepdim=True)
            x = x / (x.square().mean(dim=(1, 2), keepdim=True).sqrt() + 4.0)  # 4 grey levels: only noise
        x = F.relu(self.stem_norm(self.stem(x[:, None])))  # [n,24,48,48]
        x = self.stages(x).mean((2, 3))  # [n,176]
        embedding = self.embed(self.drop(x)).float()
        logits = self.head(F.relu(embedding)).float() / (self.caution * aside).exp()[:, None]
        affect = (logits / self.temperature).softmax(-1) @ self.circumplex
        return {"logits": logits, "affect": affect, "embedding": embedding}


def one_sided(faces: Tensor) -> Tensor:
    """float32 [n]: the logarithm of how much brighter one side of ``faces`` [n, S, S] is than the other."""
    middle = faces.shape[-1] // 2
    left, right = (faces[:, :, side].mean((1, 2)) for side in (slice(middle), slice(middle, None)))
    return ((left + 4) / (right + 4)).log().abs()  # 4 grey levels: only noise


def linear_resampling(source: int, target: int) -> Tensor:
    """float32 [target, source]: each row weighs the two nearest of ``source`` pixels, centres aligned."""
    at = (torch.arange(target, dtype=torch.float64) + 0.5) * source / target - 0.5
    weights = 1 - (at[:, None] - torch.arange(source)[None]).abs()
    return weights.clamp(min=0).float()
