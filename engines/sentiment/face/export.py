"""A trained face network as the step that runs live: one picture."""

from pathlib import Path

import torch
from torch import Tensor

from engines.sentiment.export import export
from engines.sentiment.face.model import FaceExpert
from nodes.runtime.messages import FACE_SIZE


def examples(seed: int) -> dict[str, Tensor]:
    """One picture of blotches, the same for the same seed."""
    g = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 1, 9, 9, generator=g) * 255
    face = torch.nn.functional.interpolate(coarse, size=(FACE_SIZE, FACE_SIZE), mode="bilinear")[:, 0]
    return {"face": face.round().to(torch.uint8)}


def export_face(network: FaceExpert, path: Path) -> str:
    """Writes ``path`` and its golden file; returns a line on what was written."""
    network = network.cpu().eval()
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return export(network, path, examples, {}, float(network.temperature))
