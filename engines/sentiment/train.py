"""Everything of sentiment from the data to the engines: ``python -m engines.sentiment.train``.

The three experts, each by its own command, then the fusion of their answers.  ``--smoke`` is the same in
miniature, in under three minutes on two cores; its engines are good for nothing but to show that it works.
"""

import time
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from engines.command import command
from engines.sentiment.face.train import main as train_face
from engines.sentiment.fusion.train import main as train_fusion
from engines.sentiment.voice.train import main as train_voice
from engines.sentiment.words.train import main as train_words

console = Console()


def main(
    data: Annotated[
        Path, typer.Option(help="folder of fer2013.zip, ravdess/, sst/, meld/, noise/, rir/")
    ] = Path("../shared/data"),
    work: Annotated[Path, typer.Option(help="checkpoints and the experts' answers")] = Path(
        "build/sentiment"
    ),
    out: Annotated[Path | None, typer.Option(help="where the engines go; of --smoke WORK/weights")] = None,
    smoke: Annotated[bool, typer.Option(help="the whole recipe in miniature")] = False,
) -> None:
    """Train face, voice and words experts and their fusion; measure and export each with its card."""
    out = out or (work / "weights" if smoke else Path(__file__).parent / "weights")
    pictures = work / "pictures" if smoke else Path("docs/pictures")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    parts = {
        "face": lambda: train_face(work / "face", data, out, smoke=smoke, device=device),
        "voice": lambda: train_voice(work / "voice", data, out, smoke=smoke, device=device),
        "words": lambda: train_words(data, out, smoke),
        "fusion": lambda: train_fusion(data, work / "fusion", out, pictures, smoke),
    }
    for name, train in parts.items():
        began = time.monotonic()
        train()
        console.print(f"{name}: done in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    command(main)
