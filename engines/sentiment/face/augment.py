"""What a camera, a lamp and a loose crop do to a face, on whole batches: torch, any device.

Every function takes ``faces`` float32 [B, S, S] in 0..255 and a generator, and returns the same shape.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from engines.speech.augment import uniform
from nodes.runtime.messages import FACE_SIZE

TURN, SCALE, SHIFT = math.radians(13), 1.16, 0.08


def maybe(count: int, probability: float, generator: torch.Generator) -> Tensor:
    """bool [count, 1, 1]."""
    return torch.rand(count, 1, 1, generator=generator, device=generator.device) < probability


def reframe(images: Tensor, generator: torch.Generator) -> Tensor:
    """uint8 [B, 48, 48] -> [B, 64, 64]: mirrored, turned, scaled, stretched and shifted as crops differ."""
    b = len(images)
    angle = uniform((b,), -TURN, TURN, generator)
    scale = SCALE ** uniform((b,), -1, 1, generator)
    stretch = 1.08 ** uniform((b,), -1, 1, generator)
    mirror = torch.where(maybe(b, 0.5, generator)[:, 0, 0], -1.0, 1.0)
    cos, sin = angle.cos() * scale, angle.sin() * scale
    shift = uniform((b, 2), -2 * SHIFT, 2 * SHIFT, generator)
    theta = torch.stack(
        [
            torch.stack([cos * mirror * stretch, -sin, shift[:, 0]], 1),
            torch.stack([sin * mirror * stretch, cos, shift[:, 1]], 1),
        ],
        1,
    )
    grid = F.affine_grid(theta, [b, 1, FACE_SIZE, FACE_SIZE], align_corners=False)
    cut = F.grid_sample(
        images[:, None].float(), grid, mode="bicubic", padding_mode="border", align_corners=False
    )
    return cut[:, 0].clamp(0, 255)


def shade(faces: Tensor, depth: Tensor, angle: Tensor, offset: Tensor, softness: Tensor) -> Tensor:
    """Light from one side: beyond a line through the face it falls to the share ``depth`` of what it was.

    All [B, 1, 1]: angle in radians of where the light comes from, offset of the line from the middle and the
    softness of its edge in halves of the side.
    """
    axis = torch.linspace(-1, 1, faces.shape[-1], device=faces.device)
    along = angle.cos() * axis[None, None, :] + angle.sin() * axis[None, :, None]
    lit = ((along - offset) / softness).sigmoid()
    return faces * (depth + (1 - depth) * lit)


def light(faces: Tensor, generator: torch.Generator) -> Tensor:
    """Exposure and contrast for all, a lamp at one side for a third."""
    b = len(faces)

    def draw(low: float, high: float) -> Tensor:
        return uniform((b, 1, 1), low, high, generator)

    depth = torch.where(maybe(b, 0.35, generator), draw(0.03, 0.8), 1.0)
    faces = shade(faces, depth, draw(0, 2 * math.pi), draw(-0.5, 0.5), draw(0.03, 0.4))
    gamma = torch.exp2(draw(-0.6, 0.6))
    return 255 * (faces / 255).clamp(0, 1) ** gamma * draw(0.5, 1.1)


def spoil(faces: Tensor, generator: torch.Generator) -> Tensor:
    """Blur for a fifth, noise for a third, a covered rectangle for two fifths, 8-bit steps for all."""
    b, side = len(faces), faces.shape[-1]
    small = F.interpolate(faces[:, None], scale_factor=0.6, mode="bilinear", antialias=True)
    blurred = F.interpolate(small, size=(side, side), mode="bilinear")[:, 0]
    faces = torch.where(maybe(b, 0.2, generator), blurred, faces)
    noise = torch.randn(faces.shape, generator=generator, device=faces.device)
    faces = faces + noise * uniform((b, 1, 1), 0, 12, generator) * maybe(b, 0.33, generator)
    at = torch.arange(side, device=faces.device)
    hidden = maybe(b, 0.4, generator)
    for axis in (at[None, :, None], at[None, None, :]):
        length = uniform((b, 1, 1), 0.1, 0.5, generator) * side
        start = uniform((b, 1, 1), -0.2, 1.0, generator) * side
        hidden = hidden & (axis >= start) & (axis < start + length)
    faces = torch.where(hidden, uniform((b, 1, 1), 0, 255, generator), faces)
    return faces.clamp(0, 255).round()


def distort(images: Tensor, generator: torch.Generator) -> Tensor:
    """FER2013 pictures uint8 [B, 48, 48] as crops of a live picture: float32 [B, 64, 64] of whole numbers.

    A quarter are only framed anew.
    """
    framed = reframe(images, generator)
    spoilt = spoil(light(framed, generator), generator)
    return torch.where(maybe(len(images), 0.25, generator), framed.round(), spoilt)
