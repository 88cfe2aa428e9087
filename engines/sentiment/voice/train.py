"""Train the voice expert: ``python -m engines.sentiment.voice.train --data DATA --work WORK``.

Four networks, each on three quarters of RAVDESS's actors and measured on the quarter it never heard; the one
of the last fold is exported.  Nothing is chosen by the measured actors but the temperature.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
import typer
from torch import Tensor

from engines.command import command
from engines.sentiment.voice.card import card
from engines.sentiment.voice.classes import CLASSES
from engines.sentiment.voice.conditions import Bench, open_bench
from engines.sentiment.voice.export import export_voice
from engines.sentiment.voice.measure import answers, conditions, figures
from engines.sentiment.voice.model import CHUNK, SIZE, STRIDE, Size, VoiceExpert
from engines.sentiment.voice.recordings import FOLDS, KEPT_FOLD, Recordings, fold_actors, load_recordings
from engines.speech.recipe import Recipe
from engines.speech.stage import run_stage

FULL = Recipe(
    steps=3000, batch=64, frames=100, peak_rate=1.5e-3, warm_up=200, decay=0.05, average=0.995, seed=4
)
SMOKE = Recipe(steps=12, batch=8, frames=60, peak_rate=1e-3, warm_up=3, decay=0.05, average=0.8, seed=4)
SMOOTHING = 0.1
MIXED = 0.5  # share of batches whose recordings are blended by twos (mixup, Zhang et al. 2018)


def loss(network: VoiceExpert, bench: Bench, recipe: Recipe) -> tuple[Tensor, dict[str, Tensor]]:
    """Cross entropy at the end of every chunk, weighed by how much of the speech was heard by then."""
    device = bench.device
    with torch.autocast(device.type, enabled=False):
        chosen = bench.pick(recipe.batch)
        sound, speech = bench.canvas(chosen, recipe.frames * STRIDE // CHUNK)
        features = bench.features(bench.degrade(sound, speech, clean=0.6))
        target = F.one_hot(bench.classes[chosen], len(CLASSES)).float()
        target = (1 - SMOOTHING) * target + SMOOTHING / len(CLASSES)
        heard = speech.unflatten(1, (features.shape[1] // CHUNK, -1)).sum(2).cumsum(1)
        heard = (heard / heard[:, -1:].clamp(min=1)).square()
        share = torch.rand(len(chosen), 1, generator=bench.generator, device=device)
        blended = torch.rand(len(chosen), 1, generator=bench.generator, device=device) < MIXED
        share = torch.where(blended, share.clamp(min=0.5), 1.0)
        features = share[:, :, None] * features + (1 - share[:, :, None]) * features.roll(1, 0)
        target = share * target + (1 - share) * target.roll(1, 0)
        heard = share * heard + (1 - share) * heard.roll(1, 0)
    outputs, _ = network(features, network.initial(len(features), device))
    scores = outputs["logits8"].float().log_softmax(-1)  # [B,K,8]
    each = -(scores * target[:, None]).sum(-1)
    total = (each * heard).sum() / heard.sum()
    right = (scores[:, -1].argmax(-1) == target.argmax(-1)).float().mean()
    return total, {"loss": total.detach(), "right": right}


def train_fold(
    recordings: Recordings,
    fold: int,
    data: Path,
    work: Path,
    recipe: Recipe,
    seconds: float,
    device: torch.device,
    size: Size = SIZE,
) -> VoiceExpert:
    """WORK/voice-FOLD.weights.pt as a network, trained on the other folds' actors where missing."""
    weights = work / f"voice-{fold}.weights.pt"
    torch.manual_seed(recipe.seed + fold)
    network = VoiceExpert(size).to(device)
    if weights.exists():
        network.load_state_dict(torch.load(weights, map_location=device, weights_only=True))
        return network.eval()
    tested = fold_actors(recordings.actors, fold)
    learnt = tuple(int(a) for a in np.unique(recordings.actors) if a not in tested)
    bench = open_bench(recordings.of(learnt), data, recipe.seed, device)

    def step(number: int) -> tuple[Tensor, dict[str, Tensor]]:
        bench.begin(recipe.seed + fold, number)
        return loss(network, bench, recipe)

    def check(net: VoiceExpert) -> str:
        unheard = open_bench(recordings.of(tested), data, 0, device)
        return f"voice-{fold}, actors it never heard: {figures(answers(net, unheard)).line()}"

    network = run_stage(f"voice-{fold}", network, recipe, work, device, step, check, seconds)
    torch.save(network.state_dict(), weights)
    return network


def main(
    work: Annotated[Path, typer.Option(help="checkpoints and trained weights")] = Path(
        "build/sentiment/voice"
    ),
    data: Annotated[Path, typer.Option(help="folder of ravdess/, noise/ and rir/")] = Path("../shared/data"),
    out: Annotated[Path, typer.Option(help="where the engine goes")] = Path("engines/sentiment/weights"),
    folds: Annotated[str, typer.Option(help="which of the four to train; an export needs all")] = "0,1,2,3",
    steps: Annotated[int, typer.Option(help="of each fold; 0 as in the recipe")] = 0,
    seconds: Annotated[float, typer.Option(help="stop a fold after so long; run again to go on")] = 1e9,
    device: Annotated[str, typer.Option(help="cpu or cuda")] = "cuda" if torch.cuda.is_available() else "cpu",
    smoke: Annotated[bool, typer.Option(help="the whole recipe in miniature")] = False,
) -> None:
    """Train the voice expert on RAVDESS, fold by fold; measure it, and export it once all are there."""
    torch.set_num_threads(1)
    work.mkdir(parents=True, exist_ok=True)
    recipe = SMOKE if smoke else FULL
    recipe = replace(recipe, steps=steps or recipe.steps)
    recordings = load_recordings(data, limit=FOLDS if smoke else None)
    on = torch.device(device)
    networks = {
        fold: train_fold(recordings, fold, data, work, recipe, seconds, on)
        for fold in (int(part) for part in folds.split(","))
    }
    if len(networks) < FOLDS:
        print(f"no export: it needs all of the {FOLDS} folds")
        return
    table = conditions([networks[fold] for fold in range(FOLDS)], recordings, data)
    network = networks[KEPT_FOLD]
    network.temperature.fill_(table.temperature)
    print(export_voice(network, out / "voice.onnx"))
    (out / "voice.md").write_text(card(network, recordings, table, recipe))
    print("\n".join(table.rows))
    print(f"UAR over eight classes of each fold: {', '.join(f'{uar:.1%}' for uar in table.folds)}")


if __name__ == "__main__":
    command(main)
