"""Teaches the landmark network: faces from FER2013 and GRID, YuNet as the teacher.

``python -m engines.face.train --data ../shared/data --work WORK`` keeps the labelled faces and a checkpoint
in WORK, goes on from there when started again, and leaves ``landmarks.onnx``, its golden file and its card in
``--out``.  ``--smoke`` runs the whole recipe on a few faces for a few steps.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from engines.command import command
from engines.face import augment, export
from engines.face.faces import CONFIDENT, Faces, fer2013, grid, join
from engines.face.measure import Figure, landmark_figures, presence_figures, teacher_figure
from engines.face.model import CROP, LandmarkNet
from nodes.perception.crop import face_framing

SEED = 20
STEPS = 10_000
BATCH = 32
RATE = 2e-3
_EVERY = 500
# One clip's pictures are all of one face: no more of GRID in a batch than this share.
_GRID_SHARE = 0.2
# Covered points are rare, and costlier to miss.
_COVERED = 3.0

console = Console()


def batch(faces: Faces, weights: np.ndarray, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The samples of one step, the same whenever it is asked for: image, points, presence, visible."""
    rng = np.random.default_rng([SEED, step])
    chosen = rng.choice(len(faces.images), BATCH, p=weights)
    samples = [augment.sample(faces, int(i), rng) for i in chosen]
    return (
        torch.from_numpy(np.stack([s.image for s in samples])),
        torch.from_numpy(np.stack([s.points for s in samples])),
        torch.tensor([s.presence for s in samples], dtype=torch.float32),
        torch.from_numpy(np.stack([s.visible for s in samples]).astype(np.float32)),
    )


def loss(net: LandmarkNet, image: Tensor, points: Tensor, presence: Tensor, visible: Tensor) -> Tensor:
    """Smooth L1 on points in the crop, of faces only, and cross entropy on presence and visibility."""
    found, face, seen = net(image)
    inside = ((points >= 0) & (points <= CROP - 1)).all(dim=2).float() * presence[:, None]
    distance = F.smooth_l1_loss(found, points, reduction="none", beta=1.0).sum(dim=2)
    return (
        (distance * inside).sum() / inside.sum().clamp(min=1)
        + F.binary_cross_entropy_with_logits(face, presence)
        + F.binary_cross_entropy_with_logits(seen, visible, weight=1 + (_COVERED - 1) * (1 - visible))
    )


def fit(net: LandmarkNet, faces: Faces, steps: int, checkpoint: Path) -> None:
    optimiser = torch.optim.AdamW(net.parameters(), RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, steps, pct_start=0.05)
    is_grid = np.array(["/" not in group for group in faces.groups])
    weights = np.where(
        is_grid, _GRID_SHARE / max(is_grid.sum(), 1), (1 - _GRID_SHARE) / max((~is_grid).sum(), 1)
    )
    weights /= weights.sum()
    parts: dict[str, Any] = {"net": net, "optimiser": optimiser, "schedule": schedule}
    start = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        for name, part in parts.items():
            part.load_state_dict(saved[name])
        start = saved["step"]
        console.print(f"going on from step {start} in {checkpoint}")
    columns = (TextColumn("training, loss {task.fields[loss]:.3f}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task("", total=steps, completed=start, loss=float("nan"))
        mean = 0.0
        net.train()
        for step in range(start, steps):
            value = loss(net, *batch(faces, weights, step))
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
            schedule.step()
            mean += (value.item() - mean) / min(step - start + 1, 200)
            progress.update(task, advance=1, loss=mean)
            if (step + 1) % _EVERY == 0 or step + 1 == steps:
                state = {name: part.state_dict() for name, part in parts.items()}
                torch.save(state | {"step": step + 1}, checkpoint.with_suffix(".part"))
                checkpoint.with_suffix(".part").replace(checkpoint)
                console.print(f"step {step + 1}: loss {mean:.3f}")


def labelled(data: Path, work: Path, smoke: bool) -> dict[str, Faces]:
    """The four sets of faces, each kept in WORK once YuNet has looked at it."""
    fer, clips = (120, 2) if smoke else (None, None)
    looks: dict[str, Callable[[], Faces]] = {
        "fer_train": lambda: fer2013(data / "fer2013.zip", "Training", fer),
        "fer_test": lambda: fer2013(data / "fer2013.zip", "PublicTest", fer),
        "grid_train": lambda: grid(data / "grid_s1", validation=False, limit=clips),
        "grid_test": lambda: grid(data / "grid_s1", validation=True, limit=clips),
    }
    sets = {}
    for name, look in looks.items():
        kept = work / f"{name}.npz"
        if not kept.exists():
            part = kept.with_suffix(".part")
            look().save(part)
            part.replace(kept)
        sets[name] = Faces.load(kept)
    return sets


def card(
    net: LandmarkNet, sets: dict[str, Faces], figures: dict[str, dict[str, Figure]], steps: int, smoke: bool
) -> str:
    rows = [
        f"| {name} | {figures['fer_test'][name]} | {figures['grid_test'][name]} |"
        for name in figures["fer_test"]
    ]
    return export.CARD.format(
        parameters=sum(p.numel() for p in net.parameters()),
        smoke=" --smoke" if smoke else "",
        seed=SEED,
        steps=steps,
        batch=BATCH,
        confident=CONFIDENT,
        rows="\n".join(rows),
        shift=augment.SHIFT,
        scale=augment.SCALE,
        turn=np.degrees(augment.TURN),
        **{name: len(faces.images) for name, faces in sets.items()},
    )


def main(
    data: Path = Path("../shared/data"),
    work: Path = Path("build/face"),
    out: Path = Path(__file__).parent / "weights",
    smoke: bool = False,
) -> None:
    """Train the landmark network on the faces in DATA by way of WORK, and export it to OUT."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    torch.manual_seed(SEED)
    work.mkdir(parents=True, exist_ok=True)
    sets = labelled(data, work, smoke)
    steps = 40 if smoke else STEPS
    net = LandmarkNet()
    fit(net, join(sets["fer_train"], sets["grid_train"]), steps, work / "checkpoint.pt")
    figures = {
        name: landmark_figures(net, sets[name])
        | {"teacher, mirrored": teacher_figure(sets[name])}
        | presence_figures(net, sets[name])
        for name in ("fer_test", "grid_test")
    }
    face = sets["fer_test"].images[0], sets["fer_test"].points[0]
    export.export(net, out / "landmarks.onnx", face_framing(face[1]).cut(face[0]))
    (out / "landmarks.md").write_text(card(net, sets, figures, steps, smoke))
    for name, rows in figures.items():
        console.print(name, {row: str(figure) for row, figure in rows.items()})


if __name__ == "__main__":
    command(main)
