"""What cameras, light and hands do to a mouth, on whole batches of clips: torch, any device."""

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from engines.speech.augment import chance, uniform

MOUTH = 88


def crop(pictures: Tensor) -> Tensor:
    """The middle 88 x 88 of uint8 [B,T,S,S]: what the face node gives live."""
    margin = (pictures.shape[-1] - MOUTH) // 2
    return pictures[..., margin : margin + MOUTH, margin : margin + MOUTH]


def distort(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror, shift, scale, rotation, light, blur, coarse pixels, noise and occlusion; steady over each clip.

    pictures: uint8 [B,T,S,S] with S > 88 of margin.  Returns uint8 [B,T,88,88].
    """
    b, t, s, _ = pictures.shape
    device = pictures.device
    angle = uniform((b,), -10, 10, generator) * math.pi / 180
    scale = uniform((b,), 0.85, 1.2, generator) * MOUTH / s
    mirror = torch.where(torch.rand(b, generator=generator, device=device) < 0.5, -1.0, 1.0)
    shift = uniform((b, 2), -0.12, 0.12, generator)
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    theta = torch.stack(
        [
            torch.stack([cosine * mirror, -sine, shift[:, 0]], 1),
            torch.stack([sine * mirror, cosine, shift[:, 1]], 1),
        ],
        1,
    )
    # A tracker's jitter: a slow wander of a pixel or so on top.
    wander = torch.randn(b, t, 2, generator=generator, device=device) * uniform((b, 1, 1), 0, 0.02, generator)
    grid_theta = theta[:, None].repeat(1, t, 1, 1)
    grid_theta[..., 2] += wander
    grid = F.affine_grid(grid_theta.flatten(0, 1), [b * t, 1, MOUTH, MOUTH], align_corners=False)
    x = F.grid_sample(
        pictures.float().flatten(0, 1)[:, None], grid, padding_mode="border", align_corners=False
    )
    x = x.reshape(b, t, MOUTH, MOUTH)

    x = (x / 255).clamp(0, 1) ** uniform((b, 1, 1, 1), 0.6, 1.6, generator)
    x = (
        (x - 0.5) * uniform((b, 1, 1, 1), 0.5, 1.4, generator)
        + 0.5
        + uniform((b, 1, 1, 1), -0.2, 0.2, generator)
    )
    ramp = torch.linspace(-1, 1, MOUTH, device=device)
    x = x + uniform((b, 1, 1, 1), -0.2, 0.2, generator) * ramp[None, None, :, None]
    x = x + uniform((b, 1, 1, 1), -0.3, 0.3, generator) * ramp

    blurred = F.avg_pool2d(x, 5, 1, 2)
    coarse = F.interpolate(F.avg_pool2d(x, 4), size=(MOUTH, MOUTH), mode="bilinear", align_corners=False)
    choice = torch.rand(b, 1, 1, 1, generator=generator, device=device)
    x = torch.where(choice < 0.15, blurred, torch.where(choice > 0.88, coarse, x))
    x = x + torch.randn(x.shape, generator=generator, device=device) * uniform(
        (b, 1, 1, 1), 0, 0.05, generator
    )

    centre, half = uniform((b, 2), 0, MOUTH, generator), uniform((b, 2), 4, 18, generator)
    place = torch.arange(MOUTH, device=device)[None]
    rows, columns = ((place - centre[:, i : i + 1]).abs() < half[:, i : i + 1] for i in range(2))
    box = rows[:, :, None] & columns[:, None, :] & chance(b, 0.25, generator)[:, :, None]
    x = torch.where(box[:, None], uniform((b, 1, 1, 1), 0, 1, generator), x)
    return (x.clamp(0, 1) * 255).round().to(torch.uint8)


def drop_pictures(b: int, t: int, generator: torch.Generator, clean: float = 0.5) -> Tensor:
    """Which pictures arrive, float32 [b, t]: all for a share ``clean``, else slower cameras, losses and cut
    stretches."""
    device = generator.device
    present = torch.ones(b, t, device=device)
    kind = torch.rand(b, 1, generator=generator, device=device)
    at = torch.arange(t, device=device)[None].float()
    scattered = (
        torch.rand(b, t, generator=generator, device=device) > uniform((b, 1), 0, 0.5, generator)
    ).float()
    # A camera at 10 to 25 per second, of which only pictures within half a frame count.
    period = uniform((b, 1), 1.0, 2.5, generator)
    off = at - (at / period).round() * period
    slower = (off.abs() <= 0.5).float()
    start, length = uniform((b, 1), -10, float(t), generator), uniform((b, 1), 4, 40, generator)
    stretch = 1.0 - ((at >= start) & (at < start + length)).float()
    share = (1 - clean) / 3
    for low, pattern in ((clean, scattered), (clean + share, slower), (clean + 2 * share, stretch)):
        present = torch.where((kind >= low) & (kind < low + share), pattern, present)
    return present
