"""Emotion from the words of a sentence, wide and deep (Cheng et al. 2016), on one page.

Wide: a linear answer to which words, stretches of letters and pairs of words there are.  Deep: sub-word
vectors, weighed by attention, and the strongest answer of convolutions over two and three of them (Kim 2014),
beside a mean of what was said before.  Each is trained by itself; their beliefs are averaged.  Where the two
parts disagree, as they do over words that are out of place, and where there is little to read, the emotions
are believed less.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from engines.sentiment.emotions import CIRCUMPLEX, EMOTIONS
from engines.sentiment.words.corpora import GRADES, SENTIMENTS
from engines.sentiment.words.grams import BUCKETS, NONE
from engines.sentiment.words.subwords import PADDING

HEADS = {"logits": len(EMOTIONS), "sentiment": len(SENTIMENTS), "grades": GRADES}
_HIDDEN = -1e4


@dataclass(frozen=True)
class Size:
    vocabulary: int
    width: int = 96
    channels: int = 64
    embedding: int = 64
    dropout: float = 0.5


class WordsExpert(nn.Module):
    """``words``, ``before`` int64 [n, L], sub-words of the sentence and of those before it; ``grams`` int64
    [n, G], its buckets; all padded with 0.  They give

    logits: float32 [n, 7] in the order of ``EMOTIONS``; sentiment: float32 [n, 3], logits of ``SENTIMENTS``;
    affect: float32 [n, 2], valence by SST's five grades, arousal expected on the circumplex;
    embedding: float32 [n, 64], what the deep part answers from.
    caution: what the logits lose by each of the doubts (``believe``).
    """

    circumplex: Tensor
    valence: Tensor
    temperature: Tensor
    caution: Tensor

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        # Plain tables: the exporter calls what nn.Embedding gives `embedding`, as our output is called.
        self.wide = nn.Parameter(torch.zeros(BUCKETS, sum(HEADS.values())), requires_grad=False)
        self.vectors = nn.Parameter(torch.randn(size.vocabulary, size.width) * 0.1)
        self.attention = nn.Linear(size.width, 1)
        self.stretches = nn.ModuleList(nn.Conv1d(size.width, size.channels, k, padding=k - 1) for k in (2, 3))
        self.drop, self.drop_vectors = nn.Dropout(size.dropout), nn.Dropout(0.3)
        self.mix = nn.Linear(2 * size.width + 2 * size.channels, size.embedding)
        self.heads = nn.ModuleDict({name: nn.Linear(size.embedding, k) for name, k in HEADS.items()})
        self.register_buffer("circumplex", torch.from_numpy(CIRCUMPLEX.copy()))
        self.register_buffer("valence", torch.linspace(-1, 1, GRADES))
        self.register_buffer("temperature", torch.ones(()))
        self.register_buffer("caution", torch.zeros(2))

    def forward(self, words: Tensor, before: Tensor, grams: Tensor) -> dict[str, Tensor]:
        both, doubts, embedding = self.believe(words, before, grams)
        logits = both["logits"] / (doubts @ self.caution).exp()[:, None]
        arousal = (logits / self.temperature).softmax(-1) @ self.circumplex[:, 1:]
        valence = both["grades"].softmax(-1) @ self.valence[:, None]
        return {
            "logits": logits,
            "sentiment": both["sentiment"],
            "affect": torch.cat([valence, arousal], 1),
            "embedding": embedding,
        }

    def believe(
        self, words: Tensor, before: Tensor, grams: Tensor
    ) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Logits of both parts by head; doubts float32 [n, 2]; the embedding.

        doubts: how far the parts disagree on the emotion (nats), and the logarithm of how much is read.
        """
        deep, embedding = self.deep(words, before)
        wide = self.linear(grams)
        one, other = ({name: part[name].log_softmax(-1) for name in HEADS} for part in (deep, wide))
        both = {name: (one[name] + other[name]) / 2 for name in HEADS}
        apart = (one["logits"].exp() * (one["logits"] - other["logits"])).sum(1)
        length = (words != PADDING).float().sum(1).clamp(min=1).log()
        return both, torch.stack([apart, length], 1), embedding

    def deep(self, words: Tensor, before: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Logits by head, and the embedding they are read from."""
        there = (words != PADDING).float()  # [n,L]
        x = self.drop_vectors(self.vectors[words]) * there[..., None]  # [n,L,96]
        y = self.drop_vectors(self.vectors[before])
        views = [
            self.mean(x, there),
            *(F.relu(stretch(x.transpose(1, 2))).amax(2) for stretch in self.stretches),
            self.mean(y, (before != PADDING).float()),
        ]
        embedding = self.mix(self.drop(torch.cat(views, 1))).tanh()
        heard = self.drop_vectors(embedding)
        return {name: head(heard) for name, head in self.heads.items()}, embedding

    def linear(self, grams: Tensor) -> dict[str, Tensor]:
        """Logits by head: the sum over the buckets there, less the more there are."""
        there = (grams != NONE).float()
        total = (self.wide[grams] * there[..., None]).sum(1) / there.sum(1, keepdim=True).clamp(min=1).sqrt()
        return dict(zip(HEADS, total.split(list(HEADS.values()), 1), strict=True))

    def mean(self, x: Tensor, there: Tensor) -> Tensor:
        """Of vectors [n,L,d] where they are ``there``, weighed by attention; zeros where none is."""
        scores = self.attention(x)[..., 0] + (1 - there) * _HIDDEN
        weights = scores.softmax(1) * there
        return (weights[..., None] * x).sum(1)
