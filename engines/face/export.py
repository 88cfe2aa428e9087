"""The trained landmark network as the files the pipeline loads: ONNX, golden file and model card."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engines.engine import OnnxRuntimeEngine
from engines.face.model import CROP, LandmarkNet

GOLDEN_TOLERANCE = 1e-3
_OPSET = 17


class Step(nn.Module):
    """One crop at a time, and probabilities in place of logits."""

    def __init__(self, net: LandmarkNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        points, presence, visible = self.net(image)
        return points, presence.sigmoid(), visible.sigmoid()


def export(net: LandmarkNet, path: Path, image: np.ndarray) -> None:
    """Writes ``path`` (.onnx) and its golden file on ``image`` uint8 [64, 64], checked by each other.

    Inputs and outputs: ``image`` uint8 [1, 64, 64] to ``points`` float32 [1, 5, 2], ``presence`` float32 [1]
    and ``visible`` float32 [1, 5].  Raises RuntimeError where onnxruntime does not reproduce torch.
    """
    step = Step(net).eval()
    example = torch.from_numpy(image.reshape(1, CROP, CROP))
    names = ["points", "presence", "visible"]
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        step,
        (example,),
        str(path),
        input_names=["image"],
        output_names=names,
        opset_version=_OPSET,
        dynamo=False,
    )
    with torch.inference_mode():
        expected = dict(zip(names, (t.numpy() for t in step(example)), strict=True))
    found = OnnxRuntimeEngine(path).run({"image": example.numpy()})
    worst = max(float(np.abs(found[name] - expected[name]).max()) for name in names)
    if worst > GOLDEN_TOLERANCE:
        raise RuntimeError(f"{path}: onnxruntime differs from torch by {worst:.2g}")
    golden: dict[str, Any] = {f"out.{name}": value for name, value in expected.items()}
    golden["in.image"] = example.numpy()
    np.savez_compressed(path.with_suffix(".golden.npz"), **golden)  # type: ignore[arg-type]


CARD = """# landmarks.onnx: five points on a face

`image` uint8 [1, 64, 64], a grey face framed as `nodes/perception/crop.py` frames it, gives `points` float32
[1, 5, 2] (right eye, left eye, nose tip, right and left mouth corner of the person, in pixels of the crop),
`presence` [1] and `visible` [1, 5], probabilities that it is a framed face and that each point is neither
covered nor out of the picture.  {parameters:,} parameters, an hourglass of plain convolutions with heat maps
(`engines/face/model.py`).

Made by `python -m engines.face.train --data DATA --work WORK`{smoke}: seed {seed}, {steps:,} steps of {batch}
samples.

## Data

| set | faces | from | licence |
|---|---|---|---|
| training | {fer_train:,} | FER2013 `Training/` | Kaggle 2013 challenge, research use |
| training | {grid_train:,} | GRID s1, crc32(clip name) % 10 not 0 | CC BY 4.0 (Cooke et al. 2006) |
| held out | {fer_test:,} | FER2013 `PublicTest/` | as above |
| held out | {grid_test:,} | GRID s1, crc32(clip name) % 10 = 0 | as above |

No person marked the points: the teacher is YuNet (Apache-2.0), and only faces where its score is at least
{confident} are kept, so the errors below are distances from YuNet's opinion.

Licence of these weights: research use, as FER2013 asks. Other use needs weights trained without it, which
`engines/face/train.py` cannot do yet: it stops at a data folder without `fer2013.zip`.

## Measured on the held-out sets

Means with 95 % confidence intervals (percentile bootstrap over pictures, for GRID over clips). Landmark
errors are in percent of the distance between the eyes.

- `first look`: the crop framed at random, as loosely as a detector frames it.
- `second look`: framed by the first look's points, as tracking does. `failed`: the share of these over 10 %.
- `mean face`: always answering the average points.
- `teacher, mirrored`: YuNet against itself, shown the face in a mirror: how exact the labels are.
- `faces missed` and the rows under it: percent of samples degraded, covered and badly framed as in training.

| | FER2013 | GRID |
|---|---|---|
{rows}

## Limits

- GRID's speaker s1 is one man under one light; his other clips are in training.
- FER2013 has many faces, but at 48 pixels.
- Profiles, beards, masks and dark glasses are as rare in training as in FER2013; expect YuNet's own biases.
- YuNet puts the mouth corners some pixels too high on GRID; so does its pupil, the same live as in training.
- Framings off by more than {shift:.0%} of the side, a factor of {scale:.2f} or {turn:.0f} degrees were not
  trained.
"""
