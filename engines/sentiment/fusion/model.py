"""What three experts say of one person, as one answer: late, or by cross-attention; on one page.

``Late`` weighs what each expert believes by how far it can be relied on and adds up.  ``Intermediate`` lets
one question attend to the experts' embeddings (cross-attention, Vaswani et al. 2017) and answers from what it
found.
Both take any subset of the experts: one that is not there has weight 0 and changes nothing.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from engines.sentiment.emotions import CIRCUMPLEX, EMOTIONS

MODALITIES = ("face", "voice", "words")
EMBEDDING = 64
_SCARCELY = 1e-4  # of log(present): about -9, where float16 would overflow on -inf


class Late(nn.Module):
    """Takes and gives what ``Fusion`` does.  A weighted product of beliefs (logarithmic opinion pool).

    An expert's reliability comes from its own belief alone: how sure, how spread, of what.  A class that an
    expert answers too readily is corrected by a bias of its own.
    """

    def __init__(self, hidden: int = 24) -> None:
        super().__init__()
        count, classes = len(MODALITIES), len(EMOTIONS)
        self.inner = nn.Parameter(torch.randn(count, classes + 1, hidden) * 0.2)
        self.inner_bias = nn.Parameter(torch.zeros(count, hidden))
        self.outer = nn.Parameter(torch.zeros(count, hidden))
        self.base = nn.Parameter(torch.full((count,), 0.5))
        self.bias = nn.Parameter(torch.zeros(count, classes))

    def forward(self, logits: Tensor, embedding: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        believed = logits.log_softmax(-1)  # [n,3,7]
        doubt = -(believed.exp() * believed).sum(-1, keepdim=True)
        told = torch.cat([believed.exp(), doubt], -1)
        inner = F.relu(torch.einsum("nmi,mio->nmo", told, self.inner) + self.inner_bias)
        reliability = F.softplus((inner * self.outer).sum(-1) + self.base) * present  # [n,3]
        return (reliability[..., None] * (believed + self.bias)).sum(1), reliability


class Intermediate(nn.Module):
    """Takes and gives what ``Fusion`` does; reliability is the attention each expert gets."""

    def __init__(self, width: int = 64, heads: int = 4, dropout: float = 0.3) -> None:
        super().__init__()
        count, classes = len(MODALITIES), len(EMOTIONS)
        self.heads = heads
        self.read = nn.ModuleList(nn.Linear(EMBEDDING + classes, width) for _ in MODALITIES)
        self.who = nn.Parameter(torch.randn(count, width) * 0.1)
        self.question = nn.Parameter(torch.randn(width) * 0.1)
        self.norm, self.norm_out = nn.LayerNorm(width), nn.LayerNorm(width)
        self.key, self.value = nn.Linear(width, width), nn.Linear(width, width)
        self.inner, self.outer = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.head = nn.Linear(width, classes)
        self.drop = nn.Dropout(dropout)

    def forward(self, logits: Tensor, embedding: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        told = torch.cat([embedding, logits.log_softmax(-1)], -1)  # [n,3,71]
        x = torch.stack([read(told[:, i]) for i, read in enumerate(self.read)], 1) + self.who
        x = self.norm(F.silu(self.drop(x)))
        key = self.key(x).unflatten(-1, (self.heads, -1))  # [n,3,h,d]
        value = self.value(x).unflatten(-1, (self.heads, -1))
        question = self.question.unflatten(0, (self.heads, -1))
        scores = (key * question).sum(-1) / key.shape[-1] ** 0.5 + present.clamp(min=_SCARCELY).log()[
            ..., None
        ]
        attention = scores.softmax(1) * (present > 0)[..., None]  # [n,3,h]
        y = (attention[..., None] * value).sum(1).flatten(1) * 3**0.5
        y = y + self.outer(self.drop(F.silu(self.inner(self.norm_out(y)))))
        return self.head(self.drop(y)), attention.mean(-1)


class Fusion(nn.Module):
    """The step that is exported, around either ``core``.

    opinions: float32 [n, 3, 7], logits of face, voice, words, each divided by its temperature; embeddings:
    float32 [n, 3, 64]; affects: float32 [n, 3, 2]; present: float32 [n, 3], 0 for an expert that has nothing
    to say, up to 1.  Gives

    logits: float32 [n, 7]; embedding: float32 [n, 64], the experts' own, weighed;
    affect: float32 [n, 2], expected valence and arousal: of the emotions found, and of what the experts say
    themselves, in equal parts (the words know valence from sentences graded for it);
    reliability: float32 [n, 3], the weight of each expert, adding up to 1, or 0 where none is present.
    """

    circumplex: Tensor
    temperature: Tensor

    def __init__(self, core: nn.Module) -> None:
        super().__init__()
        self.core = core
        self.register_buffer("circumplex", torch.from_numpy(CIRCUMPLEX.copy()))
        self.register_buffer("temperature", torch.ones(()))

    def forward(
        self, opinions: Tensor, embeddings: Tensor, affects: Tensor, present: Tensor
    ) -> dict[str, Tensor]:
        fused, weight = self.core(opinions, embeddings, present)
        weight = weight / weight.sum(1, keepdim=True).clamp(min=1e-6)
        found = (fused / self.temperature).softmax(-1) @ self.circumplex
        told = (weight[..., None] * affects).sum(1)
        return {
            "logits": fused,
            "affect": (found + told) / 2,
            "embedding": (weight[..., None] * embeddings).sum(1),
            "reliability": weight,
        }
