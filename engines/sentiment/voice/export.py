"""A trained voice network as the step that runs live: one chunk, its state beside it."""

from pathlib import Path

import torch
from torch import Tensor, nn

from engines.sentiment.export import export
from engines.sentiment.voice.model import CHUNK, State, VoiceExpert
from engines.speech.features import BANDS


class Chunk(nn.Module):
    """The network's answers at the end of one chunk, [1, n] each."""

    def __init__(self, network: VoiceExpert) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor, state: State) -> tuple[dict[str, Tensor], State]:
        outputs, new = self.network(features, state)
        return {name: value[:, -1] for name, value in outputs.items()}, new


def examples(seed: int) -> dict[str, Tensor]:
    """One chunk of log-mel as loud as speech is, the same for the same seed."""
    g = torch.Generator().manual_seed(seed)
    return {"features": torch.randn(1, CHUNK, BANDS, generator=g) * 0.5 - 0.5}


def export_voice(network: VoiceExpert, path: Path) -> str:
    """Writes ``path`` and its golden file; returns a line on what was written."""
    network = network.cpu().eval()
    temperature = float(network.temperature)
    return export(Chunk(network), path, examples, network.initial(1, torch.device("cpu")), temperature)
