"""How well are voices understood that were never heard in training?  ``python -m benchmarks.voices``.

The two synthetic voices that are kept out of training, espeak-ng's steph and festival's ked, say sentences of
the vocabulary; they are written as a folder of clips with transcripts, which is then evaluated as any other
(``python launch.py evaluate``).  Needs the `train` extra and Debian's espeak-ng and festival.
"""

import wave
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from engines.command import command
from engines.speech.evaluation.run import evaluate
from engines.speech.shards import Shard
from engines.speech.speakers import SPEAKERS
from engines.speech.synthetic import HELD_OUT_FESTIVAL
from engines.speech.voices import RATE, Speech

VOICES = {"espeak": "", "festival": HELD_OUT_FESTIVAL}
PAUSE = RATE // 2  # of silence before and after a sentence, samples


def write(path: Path, speech: Speech) -> None:
    quiet = np.zeros(PAUSE, np.float32)
    samples = np.concatenate([quiet, speech.samples, quiet]).clip(-1, 1)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    path.with_suffix(".txt").write_text(" ".join(text for text, _, _ in speech.words) + "\n")


def main(
    sentences: Annotated[int, typer.Option(help="of each voice", min=1)] = 40,
    weights: Annotated[str, typer.Option(help="folder of other models")] = "",
    folder: Annotated[Path, typer.Option(help="where clips and results go")] = Path("runs/voices"),
) -> None:
    """Prints the same table as the evaluation, for sound alone."""
    rng = np.random.default_rng(3)
    for kind, voice in VOICES.items():
        here = folder / "clips" / kind
        here.mkdir(parents=True, exist_ok=True)
        shard = Shard(kind, 0, sentences, voice, heldout=True)
        for number, said in enumerate(SPEAKERS[kind](shard, rng)):
            if not isinstance(said, str):
                write(here / f"{kind}{number:03d}.wav", said.speech)
    evaluate(folder / "clips", folder, 0, False, "", weights, "", None, None)


if __name__ == "__main__":
    command(main)
