"""What the networks are trained to minimise."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from engines.speech.canvas import FRAME, UNSURE, Labels

STRETCH = 80  # frames over which sound and lips are compared: 3.2 s, as live


def ctc(log_probs: Tensor, labels: Labels) -> Tensor:
    """Connectionist temporal classification, nats a word, averaged over the batch."""
    frames = torch.full_like(labels.lengths, log_probs.shape[1])
    losses = F.ctc_loss(
        log_probs.transpose(0, 1), labels.tokens, frames, labels.lengths, reduction="none", zero_infinity=True
    )
    return (losses / labels.lengths.clamp(min=1)).mean()


def speech_loss(
    outputs: dict[str, Tensor], labels: Labels, frame_weight: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """CTC at the end and in the middle (Lee and Watanabe 2021), certain frames, voice activity."""
    with torch.autocast(labels.tokens.device.type, enabled=False):
        words = ctc(outputs["log_probs"], labels)
        total = words
        if "middle_log_probs" in outputs:
            total = total + 0.3 * ctc(outputs["middle_log_probs"], labels)
        sure = labels.frames != UNSURE
        frames = F.nll_loss(outputs["log_probs"][sure], labels.frames[sure])
        known = labels.voice != UNSURE
        voice = F.binary_cross_entropy(outputs["voice"][known].clamp(1e-6, 1 - 1e-6), labels.voice[known])
    total = total + frame_weight * frames + 0.5 * voice
    return total, {"ctc": words.detach(), "frame": frames.detach(), "voice": voice.detach()}


def speaking_samples(labels: Labels) -> Tensor:
    """1 for each sample while somebody surely speaks: [B, N]."""
    return labels.voice.eq(1).float().repeat_interleave(FRAME, dim=1)


def agreement_loss(
    audio: Tensor, video: Tensor, present: Tensor, reach: int = 7, temperature: float = 0.05
) -> Tensor:
    """Find the right lag among -reach..reach frames, and the right stretch in the batch (InfoNCE, van den
    Oord 2018).

    audio, video: unit vectors [B,T,E], T a multiple of STRETCH; present [B,T], 1 where both belong together
    and somebody speaks, which is where they are compared live.
    """
    audio, video = (x.reshape(-1, STRETCH, x.shape[-1]) for x in (audio, video))
    present = present.reshape(-1, STRETCH)
    t = STRETCH
    scores = []
    for lag in range(-reach, reach + 1):
        a, v, p = (
            audio[:, reach : t - reach],
            video[:, reach + lag : t - reach + lag],
            present[:, reach + lag : t - reach + lag],
        )
        scores.append(((a * v).sum(-1) * p).sum(1) / p.sum(1).clamp(min=1))
    by_lag = torch.stack(scores, 1) / temperature
    target = torch.full((len(audio),), reach, device=audio.device)
    enough = present.mean(1) > 0.3
    lag_loss = F.cross_entropy(by_lag, target, reduction="none")
    by_clip = (
        torch.einsum("ate,bte->ab", audio, video * present[..., None])
        / present.sum(1).clamp(min=1)[None]
        / temperature
    )
    clip_loss = F.cross_entropy(by_clip, torch.arange(len(audio), device=audio.device), reduction="none")
    return ((lag_loss + clip_loss) * enough).sum() / enough.sum().clamp(min=1)
