"""One stage of training: a network, its loss, checkpoints, and the averaged weights that come out."""

import copy
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from engines.command import Stopped
from engines.speech.recipe import Recipe
from nodes.runtime.errors import UserError

N = TypeVar("N", bound=nn.Module)
CANDIDATES = (0.6, 0.7, 0.8, 0.9, 1.0)  # shares of the steps after which averaged weights may be chosen
SAVED = {"model", "averaged", "optimiser", "step", "best", "tried_steps", "tried_scores"}


def run_stage(
    name: str,
    trained: N,
    recipe: Recipe,
    work: Path,
    device: torch.device,
    step_loss: Callable[[int], tuple[Tensor, dict[str, Tensor]]],
    check: Callable[[N], object],
    seconds: float,
    score: Callable[[N], float] | None = None,
    compiled: bool = False,
) -> N:
    """AdamW, warm-up then cosine, averaged weights; a checkpoint each minute; returns the averaged network.

    step_loss: number of the step -> (loss, figures to show).  check: what to print of the averaged network.
    seconds: raise Stopped after so long.
    score: of a candidate, less is better: the best of ``CANDIDATES`` is returned, and WORK/NAME.chosen.json
    tells the score of each.  Without it the last is returned.
    UserError where the checkpoint is of another version.
    compiled: on a GPU, by ``torch.compile``: it takes a while, which long trainings win back.
    """
    parameters = [p for p in trained.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        parameters, lr=recipe.peak_rate, weight_decay=recipe.decay, betas=(0.9, 0.98)
    )
    averaged = torch.optim.swa_utils.AveragedModel(
        trained, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(recipe.average), use_buffers=True
    )
    checkpoint, first = work / f"{name}.pt", 0
    tried: dict[int, float] = {}
    best = copy.deepcopy(averaged.module.state_dict())
    if checkpoint.exists():
        saved = torch.load(checkpoint, map_location=device, weights_only=True)
        if lacks := sorted(SAVED - saved.keys()):
            raise UserError(
                f"{checkpoint}: has no {', '.join(lacks)}, another version of hearsee wrote it; delete it,"
                " and this stage begins anew"
            )
        trained.load_state_dict(saved["model"])
        averaged.load_state_dict(saved["averaged"])
        optimiser.load_state_dict(saved["optimiser"])
        first, best = saved["step"], saved["best"]
        tried = dict(zip(saved["tried_steps"], saved["tried_scores"], strict=True))

    def rate(step: int) -> float:
        if step < recipe.warm_up:
            return (step + 1) / recipe.warm_up
        return 0.01 + 0.99 * 0.5 * (
            1 + math.cos(math.pi * (step - recipe.warm_up) / max(1, recipe.steps - recipe.warm_up))
        )

    def save(step: int) -> None:
        partial = checkpoint.with_suffix(".part")
        torch.save(
            {
                "model": trained.state_dict(),
                "averaged": averaged.state_dict(),
                "optimiser": optimiser.state_dict(),
                "step": step,
                "best": best,
                "tried_steps": list(tried),
                "tried_scores": list(tried.values()),
            },
            partial,
        )
        partial.replace(checkpoint)

    def try_out(step: int) -> None:
        nonlocal best
        assert score is not None
        averaged.eval()
        found = float(score(averaged.module))  # type: ignore[arg-type]  # not numpy's: checkpoints hold no other types
        averaged.train()
        if found < min(tried.values(), default=math.inf):
            best = copy.deepcopy(averaged.module.state_dict())
        tried[step] = found

    # Half the bits pay on a GPU, and on a processor that multiplies matrices of them (AMX).
    fast = device.type == "cuda" or torch.cpu._is_amx_tile_supported()
    if compiled and device.type == "cuda":
        trained.compile()
    candidates = {math.ceil(share * recipe.steps) for share in CANDIDATES}
    began = saved_at = reported = time.monotonic()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}"),
    )
    with Progress(*columns) as progress:
        task = progress.add_task(name, total=recipe.steps, completed=first, figures="")
        for step in range(first, recipe.steps):
            trained.train()
            for group in optimiser.param_groups:
                group["lr"] = recipe.peak_rate * rate(step)
            with torch.autocast(device.type, torch.bfloat16, enabled=fast):
                loss, figures = step_loss(step)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            averaged.update_parameters(trained)
            if score is not None and step + 1 in candidates:
                try_out(step + 1)
            now = time.monotonic()
            if step % 10 == 0:  # reading a figure waits for the device
                progress.update(task, figures=" ".join(f"{k} {v.item():.3f}" for k, v in figures.items()))
            progress.update(task, advance=1)
            if step % max(1, recipe.steps // 20) == 0 or now - reported > 60:
                text = " ".join(f"{k} {v.item():.3f}" for k, v in figures.items())
                progress.console.print(f"{name} step {step} after {now - began:.0f} s: {text}")
                reported = now
            if now - saved_at > 60:
                save(step + 1)
                saved_at = now
            if now - began > seconds:
                save(step + 1)
                raise Stopped(
                    f"{name}: stopped at step {step + 1} after {now - began:.0f} s; run again to go on"
                )
    if first < recipe.steps:
        save(recipe.steps)
    network: N = averaged.module.eval()  # type: ignore[assignment]
    if score is not None:
        network.load_state_dict(best)
        chosen = {"seed": recipe.seed, "scores": tried, "step": min(tried, key=tried.__getitem__)}
        (work / f"{name}.chosen.json").write_text(json.dumps(chosen) + "\n")
    print(check(network))
    return network
