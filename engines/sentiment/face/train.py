"""Train the face expert: ``python -m engines.sentiment.face.train --data DATA --work WORK``.

Goes on where it stopped.  One label in ten of FER2013 is wrong, so labels are smoothed and pictures blended.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F  # noqa: N812
import typer
from torch import Tensor

from engines.command import command
from engines.sentiment.emotions import EMOTIONS
from engines.sentiment.face.augment import distort
from engines.sentiment.face.card import card
from engines.sentiment.face.export import export_face
from engines.sentiment.face.measure import answers, conditions, figures
from engines.sentiment.face.model import FaceExpert
from engines.sentiment.face.pictures import Pictures, load_pictures, split
from engines.speech.recipe import Recipe
from engines.speech.stage import run_stage

# frames: a picture is one.
FULL = Recipe(steps=10000, batch=128, frames=1, peak_rate=1.5e-3, decay=0.05, average=0.999, seed=8)
SMOKE = Recipe(steps=15, batch=32, frames=1, peak_rate=1e-3, decay=0.05, average=0.8, seed=8, warm_up=3)
SMOOTHING = 0.1
BLEND = 0.2  # mixup's beta distribution (Zhang et al. 2018)


def train(
    recipe: Recipe, learnt: Pictures, kept: Pictures, work: Path, seconds: float, device: torch.device
) -> FaceExpert:
    """The network that WORK/face.weights.pt holds, trained where it is not there yet."""
    weights = work / "face.weights.pt"
    torch.manual_seed(recipe.seed)
    network = FaceExpert().to(device)
    if weights.exists():
        network.load_state_dict(torch.load(weights, map_location=device, weights_only=True))
        return network.eval()
    # Convolutions are fastest with the channels last in memory.
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.from_numpy(learnt.images).to(device)
    labels = torch.from_numpy(learnt.labels).to(device)
    generator = torch.Generator(device)
    blend = torch.distributions.Beta(torch.tensor(BLEND, device=device), torch.tensor(BLEND, device=device))

    def step(number: int) -> tuple[Tensor, dict[str, Tensor]]:
        generator.manual_seed(recipe.seed * 1_000_003 + number)
        torch.manual_seed(recipe.seed * 1_000_003 + number)
        with torch.autocast(device.type, enabled=False):
            chosen = torch.randint(len(images), (recipe.batch,), generator=generator, device=device)
            faces = distort(images[chosen], generator)
            target = F.one_hot(labels[chosen], len(EMOTIONS)).float()
            target = (1 - SMOOTHING) * target + SMOOTHING / len(EMOTIONS)
            share = blend.sample((recipe.batch,))
            share = torch.maximum(share, 1 - share)[:, None]
            faces = share[:, :, None] * faces + (1 - share[:, :, None]) * faces.roll(1, 0)
            target = share * target + (1 - share) * target.roll(1, 0)
        scores = network(faces)["logits"].float().log_softmax(-1)
        loss = -(target * scores).sum(-1).mean()
        right = (scores.argmax(-1) == labels[chosen]).float().mean()
        return loss, {"loss": loss.detach(), "right": right}

    def check(net: FaceExpert) -> str:
        return f"face, on what was kept to choose by: {figures(answers(net, kept, device)).line()}"

    network = run_stage("face", network, recipe, work, device, step, check, seconds)
    torch.save(network.state_dict(), weights)
    return network


def main(
    work: Annotated[Path, typer.Option(help="checkpoints and trained weights")] = Path(
        "build/sentiment/face"
    ),
    data: Annotated[Path, typer.Option(help="folder of fer2013.zip")] = Path("../shared/data"),
    out: Annotated[Path, typer.Option(help="where the engine goes")] = Path("engines/sentiment/weights"),
    steps: Annotated[int, typer.Option(help="how many; 0 as in the recipe")] = 0,
    seconds: Annotated[float, typer.Option(help="stop after so long; run again to go on")] = 1e9,
    device: Annotated[str, typer.Option(help="cpu or cuda")] = "cuda" if torch.cuda.is_available() else "cpu",
    smoke: Annotated[bool, typer.Option(help="the whole recipe in miniature")] = False,
) -> None:
    """Train the face expert on FER2013's Training/, measure it on PublicTest/, and export it."""
    torch.set_num_threads(1)
    work.mkdir(parents=True, exist_ok=True)
    recipe = SMOKE if smoke else FULL
    recipe = replace(recipe, steps=steps or recipe.steps)
    learnt, kept = split(load_pictures(data, "Training", limit=600 if smoke else None))
    tested = load_pictures(data, "PublicTest", limit=200 if smoke else None)
    network = train(recipe, learnt, kept, work, seconds, torch.device(device))
    table = conditions(network.eval(), learnt, kept, tested)
    network.temperature.fill_(table.temperature)
    print(export_face(network, out / "face.onnx"))
    (out / "face.md").write_text(card(network, learnt, kept, table, recipe))
    print("\n".join(table.rows))


if __name__ == "__main__":
    command(main)
