"""Train the face expert: ``python -m engines.sentiment.face.train --data DATA --work WORK``.

Two stages, each resumed where it stopped: a wide network that would be too slow live, then the small one,
which learns from the labels and from what the wide one believes (distillation, Hinton et al. 2015): one label
in ten of FER2013 is wrong, and a belief says how sure one may be.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F  # noqa: N812
import typer
from torch import Tensor

from engines.sentiment.emotions import EMOTIONS
from engines.sentiment.face.augment import distort
from engines.sentiment.face.card import card
from engines.sentiment.face.export import export_face
from engines.sentiment.face.measure import answers, conditions, figures
from engines.sentiment.face.model import SMALL, TEACHER, FaceExpert, Size
from engines.sentiment.face.pictures import Pictures, load_pictures, split
from engines.speech.recipe import Recipe
from engines.speech.stage import Stopped, run_stage
from nodes.runtime.errors import UserError

# frames: a picture is one.
FULL = {
    "teacher": Recipe(steps=3000, batch=512, frames=1, peak_rate=2e-3, decay=0.1, average=0.995, seed=7),
    "face": Recipe(steps=6000, batch=512, frames=1, peak_rate=3e-3, decay=0.05, average=0.995, seed=8),
}
SMOKE = {
    "teacher": Recipe(
        steps=3, batch=16, frames=1, peak_rate=1e-3, decay=0.05, average=0.5, seed=7, warm_up=1
    ),
    "face": Recipe(steps=15, batch=32, frames=1, peak_rate=1e-3, decay=0.05, average=0.8, seed=8, warm_up=3),
}
TINY = Size(widths=(8, 16, 16, 16), blocks=(1, 1, 1))  # the teacher of --smoke
SMOOTHING = 0.1
BELIEF = 0.6  # share of the loss that the teacher's belief has
BLEND = 0.2  # mixup's beta distribution (Zhang et al. 2018)
Distilled = Callable[[Tensor], Tensor]


def train_stage(
    name: str,
    size: Size,
    recipe: Recipe,
    learnt: Pictures,
    kept: Pictures,
    believes: Distilled | None,
    work: Path,
    seconds: float,
    device: torch.device,
) -> FaceExpert:
    """The network that WORK/NAME.weights.pt holds, trained where it is not there yet.

    believes: probabilities [B, 7] for faces [B, 64, 64], learnt beside the labels.
    """
    weights = work / f"{name}.weights.pt"
    torch.manual_seed(recipe.seed)
    network = FaceExpert(size).to(device)
    if weights.exists():
        network.load_state_dict(torch.load(weights, map_location=device, weights_only=True))
        return network.eval()
    # Convolutions on a GPU are fastest with the channels last in memory.
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
        if believes is not None:
            target = BELIEF * believes(faces) + (1 - BELIEF) * target
        scores = network(faces)["logits"].float().log_softmax(-1)
        loss = -(target * scores).sum(-1).mean()
        right = (scores.argmax(-1) == labels[chosen]).float().mean()
        return loss, {"loss": loss.detach(), "right": right}

    def check(net: FaceExpert) -> str:
        return f"{name}, on what was kept to choose by: {figures(answers(net, kept, device)).line()}"

    network = run_stage(name, network, recipe, work, device, step, check, seconds)
    torch.save(network.state_dict(), weights)
    return network


def beliefs(teacher: FaceExpert) -> Distilled:
    """What the wide network believes of a face and of its mirror image, averaged."""
    teacher.requires_grad_(False)

    @torch.no_grad()
    def believes(faces: Tensor) -> Tensor:
        both = teacher(torch.cat([faces, faces.flip(2)]))["logits"].float().softmax(-1)
        return (both[: len(faces)] + both[len(faces) :]) / 2

    return believes


def main(
    work: Annotated[Path, typer.Option(help="checkpoints and trained weights")] = Path(
        "build/sentiment/face"
    ),
    data: Annotated[Path, typer.Option(help="folder of fer2013.zip")] = Path("../shared/data"),
    out: Annotated[Path, typer.Option(help="where the engine goes")] = Path("engines/sentiment/weights"),
    steps: Annotated[str, typer.Option(help="other lengths, as teacher=100,face=200")] = "",
    seconds: Annotated[float, typer.Option(help="stop a stage after so long; run again to go on")] = 1e9,
    device: Annotated[str, typer.Option(help="cpu or cuda")] = "cuda" if torch.cuda.is_available() else "cpu",
    smoke: Annotated[bool, typer.Option(help="the whole recipe in miniature")] = False,
) -> None:
    """Train the face expert on FER2013's Training/, measure it on PublicTest/, and export it."""
    torch.set_num_threads(1)
    work.mkdir(parents=True, exist_ok=True)
    recipes = SMOKE if smoke else FULL
    for part in filter(None, steps.split(",")):
        name, _, count = part.partition("=")
        if name not in recipes or not count.isdigit():
            raise UserError(f"--steps {steps}: write it as teacher=100,face=200")
        recipes = {**recipes, name: replace(recipes[name], steps=int(count))}
    learnt, kept = split(load_pictures(data, "Training", limit=600 if smoke else None))
    tested = load_pictures(data, "PublicTest", limit=200 if smoke else None)
    network, on = FaceExpert(SMALL), torch.device(device)
    if (trained := work / "face.weights.pt").exists():
        network.load_state_dict(torch.load(trained, map_location="cpu", weights_only=True))
    else:
        wide = TINY if smoke else TEACHER
        teacher = train_stage("teacher", wide, recipes["teacher"], learnt, kept, None, work, seconds, on)
        network = train_stage(
            "face", SMALL, recipes["face"], learnt, kept, beliefs(teacher), work, seconds, on
        )
    table = conditions(network.eval(), learnt, kept, tested)
    network.temperature.fill_(table.temperature)
    print(export_face(network, out / "face.onnx"))
    (out / "face.md").write_text(card(network, learnt, kept, table, recipes))
    print("\n".join(table.rows))


if __name__ == "__main__":
    try:
        typer.run(main)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except Stopped as stopped:
        print(stopped)
        sys.exit(3)
