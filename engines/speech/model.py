"""The networks that read speech from sound and from lips, and the blocks that all three are made of.

Every network is a function of (inputs, state) and gives (outputs, state): the same code runs one chunk of
4 frames live and whole utterances in training, where block-causal masks stand for the chunks.  A frame is
40 ms.
Conformer blocks (Gulati et al. 2020) with LayerNorm in place of batch norm and causal convolutions; attention
sees its own chunk and ``context`` frames before it (chunking as in Emformer, Shi et al. 2021); a learned
bias for
each distance is the only position there is.
"""

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

CHUNK = 4
State = dict[str, Tensor]


@dataclass(frozen=True)
class Size:
    """Widths and depths.  tokens: CTC classes, blank (index 0) included.  fusion: see ``fusion.FUSIONS``."""

    tokens: int
    width: int = 144
    heads: int = 4
    kernel: int = 9
    context: int = 48
    audio_layers: int = 6
    video_layers: int = 4
    fusion_layers: int = 2
    fusion: str = "hybrid"
    agreement: int = 64
    bands: int = 80
    mouth: int = 88
    dropout: float = 0.1

    asdict = asdict


def feed_forward(size: Size) -> nn.Sequential:
    w = size.width
    return nn.Sequential(
        nn.LayerNorm(w),
        nn.Linear(w, 4 * w),
        nn.SiLU(),
        nn.Dropout(size.dropout),
        nn.Linear(4 * w, w),
        nn.Dropout(size.dropout),
    )


class Attention(nn.Module):
    """Attention of new frames over cached and new ones, their own or those of another stream."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.heads, self.context = size.heads, size.context
        self.norm = nn.LayerNorm(size.width)
        self.qkv = nn.Linear(size.width, 3 * size.width)
        self.out = nn.Linear(size.width, size.width)
        self.drop = nn.Dropout(size.dropout)
        # One bias for each head and distance, from CHUNK - 1 ahead (own chunk) to the oldest frame in sight.
        self.bias = nn.Parameter(torch.zeros(size.heads, size.context + 2 * CHUNK))

    def forward(
        self, x: Tensor, cache: Tensor, mask: Tensor, distance: Tensor, other: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """x [B,T,W], cache [B,2,C,W], mask [B,1,T,C+T] additive, distance [T,C+T] indices into the bias.

        other [B,T,W]: what is attended to, x itself where it is not given.
        """
        b, t, w = x.shape
        q, k, v = self.qkv(self.norm(x)).chunk(3, dim=-1)
        if other is not None:
            _, k, v = self.qkv(self.norm(other)).chunk(3, dim=-1)
        keys = torch.cat([cache[:, 0], k], dim=1)
        values = torch.cat([cache[:, 1], v], dim=1)

        def split(y: Tensor) -> Tensor:  # [B,N,W] -> [B,H,N,W/H]
            return y.reshape(b, -1, self.heads, w // self.heads).transpose(1, 2)

        scores = split(q) @ split(keys).transpose(2, 3) * (w // self.heads) ** -0.5
        scores = scores.float() + self.bias[:, distance] + mask
        mixed = scores.softmax(-1).to(values.dtype) @ split(values)
        cache = torch.stack([keys[:, -self.context :], values[:, -self.context :]], dim=1)
        return self.drop(self.out(mixed.transpose(1, 2).reshape(b, t, w))), cache


class Convolution(nn.Module):
    """Pointwise-GLU, causal depthwise, LayerNorm, pointwise."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.kernel = size.kernel
        self.norm = nn.LayerNorm(size.width)
        self.expand = nn.Linear(size.width, 2 * size.width)
        self.depthwise = nn.Conv1d(size.width, size.width, size.kernel, groups=size.width)
        self.inner_norm = nn.LayerNorm(size.width)
        self.out = nn.Linear(size.width, size.width)
        self.drop = nn.Dropout(size.dropout)

    def forward(self, x: Tensor, cache: Tensor) -> tuple[Tensor, Tensor]:
        """x [B,T,W], cache [B,kernel-1,W]."""
        y = torch.cat([cache, F.glu(self.expand(self.norm(x)), dim=-1)], dim=1)
        cache = y[:, 1 - self.kernel :]
        y = self.depthwise(y.transpose(1, 2)).transpose(1, 2)
        return self.drop(self.out(F.silu(self.inner_norm(y)))), cache


class Block(nn.Module):
    def __init__(self, size: Size) -> None:
        super().__init__()
        self.before, self.after = feed_forward(size), feed_forward(size)
        self.attention, self.convolution = Attention(size), Convolution(size)
        self.norm = nn.LayerNorm(size.width)

    def forward(
        self, x: Tensor, attention: Tensor, convolution: Tensor, mask: Tensor, distance: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """x [B,T,W] and this block's two caches -> x and the caches for the next chunk."""
        x = x + 0.5 * self.before(x)
        y, attention = self.attention(x, attention, mask, distance)
        x = x + y
        y, convolution = self.convolution(x, convolution)
        x = x + y
        return self.norm(x + 0.5 * self.after(x)), attention, convolution


def sight(x: Tensor, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What each frame of x [B,T,W] may attend to, as ``Attention`` takes it, and seen [B,C] with x in it."""
    t, c = x.shape[1], seen.shape[1]
    query = torch.arange(t, device=x.device)[:, None]
    key = torch.arange(-c, t, device=x.device)[None, :]
    start = query // CHUNK * CHUNK
    visible = (key < start + CHUNK) & (key >= start - c)
    distance = (query - key + CHUNK - 1).clamp(0, c + 2 * CHUNK - 1)
    seen = torch.cat([seen, torch.ones_like(x[:, :, 0])], dim=1)
    # -1e4 and never -inf: an all-masked row must stay a number, also in float16.
    mask = -1e4 * (1.0 - visible.float()[None] * seen[:, None].float())[:, None]
    return mask, distance, seen


class Conformer(nn.Module):
    """A stack of blocks and its state: attention [B,2L,C,W], convolution [B,L,kernel-1,W], seen [B,C] (1 =
    cached)."""

    def __init__(self, size: Size, layers: int) -> None:
        super().__init__()
        self.size = size
        self.blocks = nn.ModuleList(Block(size) for _ in range(layers))

    def initial(self, batch: int, device: torch.device) -> State:
        s, layers = self.size, len(self.blocks)
        return {
            "attention": torch.zeros(batch, 2 * layers, s.context, s.width, device=device),
            "convolution": torch.zeros(batch, layers, s.kernel - 1, s.width, device=device),
            "seen": torch.zeros(batch, s.context, device=device),
        }

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State, Tensor]:
        """x [B,T,W], T a multiple of CHUNK.  Third result: the middle block's output, for auxiliary
        losses."""
        mask, distance, seen = sight(x, state["seen"])
        attention, convolution, middle = [], [], x
        for i, block in enumerate(self.blocks):
            slot = state["attention"][:, 2 * i : 2 * i + 2], state["convolution"][:, i]
            x, kept_attention, kept_convolution = block(x, *slot, mask, distance)
            attention.append(kept_attention)
            convolution.append(kept_convolution[:, None])
            if i == (len(self.blocks) - 1) // 2:
                middle = x
        new = {
            "attention": torch.cat(attention, 1),
            "convolution": torch.cat(convolution, 1),
            "seen": seen[:, -self.size.context :],
        }
        return x, new, middle


class Heads(nn.Module):
    """What is read off an encoding: words (CTC, Graves et al. 2006) and voice activity."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.words = nn.Linear(size.width, size.tokens)
        self.voice = nn.Linear(size.width, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """x [B,T,W] -> log_probs [B,T,V], voice [B,T] (logit while training, see Audio.forward)."""
        return {
            "log_probs": self.words(x).float().log_softmax(-1),
            "voice": self.voice(x)[..., 0].float().sigmoid(),
        }


def projection(size: Size, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, 2 * size.width), nn.SiLU(), nn.Linear(2 * size.width, size.agreement)
    )


class Audio(nn.Module):
    """Log-mel frames to words."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        self.front = nn.ModuleList([nn.Conv2d(1, 24, 3, stride=2), nn.Conv2d(24, 48, 3, stride=2)])
        self.join = nn.Linear(48 * (size.bands // 4), size.width)
        self.body = Conformer(size, size.audio_layers)
        self.heads = Heads(size)
        self.middle_words = nn.Linear(size.width, size.tokens)
        self.agreement = projection(size, 2 * size.width)

    def initial(self, batch: int, device: torch.device) -> State:
        # One frame of features and one of the first convolution's output, flattened and packed side by side.
        front = torch.zeros(batch, self.size.bands + 24 * self.size.bands // 2, device=device)
        return {**self.body.initial(batch, device), "front": front}

    def forward(self, features: Tensor, state: State) -> tuple[dict[str, Tensor], State]:
        """features [B,4T,80] -> log_probs [B,T,V], voice [B,T], encoding [B,T,W], agreement [B,T,64]."""
        bands = self.size.bands
        caches = [
            state["front"][:, :bands].reshape(-1, 1, 1, bands),
            state["front"][:, bands:].reshape(-1, 24, 1, bands // 2),
        ]
        x, kept = features[:, None], []
        for conv, cache in zip(self.front, caches, strict=True):
            x = torch.cat(
                [cache.to(x.dtype), x], dim=2
            )  # causal: the last frame of the past, none of the future
            kept.append(x[:, :, -1].flatten(1).float())
            x = F.silu(conv(F.pad(x, (0, 1))))  # bands halve exactly
        x = self.join(x.permute(0, 2, 1, 3).flatten(2))
        encoding, new, middle = self.body(x, state)
        outputs = {
            **self.heads(encoding),
            "encoding": encoding,
            "agreement": F.normalize(self.agreement(torch.cat([x, middle], -1).detach()).float(), dim=-1),
        }
        if self.training:
            outputs["middle_log_probs"] = self.middle_words(middle).float().log_softmax(-1)
        return outputs, {**new, "front": torch.cat(kept, dim=1)}


class Residual(nn.Module):
    """Two 3x3 convolutions with a shortcut (He et al. 2016)."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.first, self.first_norm = nn.Conv2d(inner, outer, 3, stride, 1, bias=False), nn.BatchNorm2d(outer)
        self.second, self.second_norm = nn.Conv2d(outer, outer, 3, 1, 1, bias=False), nn.BatchNorm2d(outer)
        same = inner == outer and stride == 1
        self.shortcut = (
            nn.Identity()
            if same
            else nn.Sequential(nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer))
        )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.first_norm(self.first(x)))
        return F.relu(self.second_norm(self.second(y)) + self.shortcut(x))


class Video(nn.Module):
    """Mouth pictures to words: causal 3-D convolution, small ResNet (as Stafylakis and Tzimiropoulos 2017),
    conformer."""

    REACH = 4  # pictures of the past that the 3-D convolution sees

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        self.stem = nn.Conv3d(1, 32, (self.REACH + 1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False)
        self.stem_norm = nn.BatchNorm3d(32)
        self.trunk = nn.Sequential(
            Residual(32, 32, 1), Residual(32, 64, 2), Residual(64, 96, 2), Residual(96, 128, 2)
        )
        self.join = nn.Sequential(
            nn.Dropout(size.dropout), nn.Linear(128 * 9, size.width), nn.LayerNorm(size.width)
        )
        self.missing = nn.Parameter(torch.zeros(size.width))
        self.body = Conformer(size, size.video_layers)
        self.heads = Heads(size)
        self.middle_words = nn.Linear(size.width, size.tokens)
        self.agreement = projection(size, 2 * size.width)

    def initial(self, batch: int, device: torch.device) -> State:
        pictures = torch.zeros(batch, self.REACH, self.size.mouth, self.size.mouth, device=device)
        return {**self.body.initial(batch, device), "pictures": pictures}

    def forward(self, mouths: Tensor, valid: Tensor, state: State) -> tuple[dict[str, Tensor], State]:
        """mouths uint8 [B,T,88,88], valid [B,T] (0 = no picture) -> as Audio."""
        b, t = valid.shape
        x = mouths.float()
        mean = x.mean((2, 3), keepdim=True)
        spread = (x - mean).square().mean((2, 3), keepdim=True).sqrt()
        present = (valid > 0).float()
        x = (x - mean) / (spread + 8.0) * present[:, :, None, None]
        x = torch.cat([state["pictures"], x], dim=1)
        pictures = x[:, -self.REACH :]
        y = F.relu(self.stem_norm(self.stem(x[:, None])))  # [B,32,T,44,44]
        y = y.transpose(1, 2).flatten(0, 1)
        y = F.max_pool2d(y, 3, 2, 1)  # [BT,32,22,22]
        x = self.join(self.trunk(y).flatten(1)).reshape(b, t, -1)
        x = torch.where(present[..., None] > 0, x, self.missing.to(x.dtype))
        encoding, new, middle = self.body(x, state)
        outputs = {
            **self.heads(encoding),
            "encoding": encoding,
            "agreement": F.normalize(self.agreement(torch.cat([x, middle], -1).detach()).float(), dim=-1),
        }
        if self.training:
            outputs["middle_log_probs"] = self.middle_words(middle).float().log_softmax(-1)
        return outputs, {**new, "pictures": pictures}
