"""The face expert's model card."""

from engines.sentiment.emotions import EMOTIONS
from engines.sentiment.face.measure import Table
from engines.sentiment.face.model import FaceExpert
from engines.sentiment.face.pictures import Pictures
from engines.speech.recipe import Recipe

CARD = """\
# face.onnx: emotion from one face

`face` uint8 [1, 64, 64], grey, as `nodes/perception/crop.py` cuts it, gives `logits` [1, 7] over angry, disgust, fear, happy,
neutral, sad and surprise, `affect` [1, 2] (valence and arousal) and `embedding` [1, 64].  {parameters:,} parameters: residual
blocks with squeeze-and-excitation (`engines/sentiment/face/model.py`).  Weights rounded to float16, computing in float32.

`logits` divided by the metadata's `temperature` ({temperature:.2f}) are calibrated.  `affect` is derived: the expected
coordinates of the emotions on the circumplex (`engines/sentiment/emotions.py`); nobody labelled valence here.

## Trained on

FER2013 `Training/` alone (Goodfellow et al. 2013; Kaggle challenge, research use: so are these weights): {learnt:,} pictures
to learn from and {kept:,} kept to choose and calibrate by (crc32 of the name % 20 is 0).  {steps:,} steps of {batch}, AdamW,
peak rate {rate:g}, averaged weights, seed {seed}, `python -m engines.sentiment.face.train`.  Mirrored, turned, scaled, moved;
lit from one side, over- and underexposed, blurred, noisy, partly covered; blended by twos (mixup).

## Measured

`PublicTest/`, enlarged to the live crop's 64 pixels.  95 % intervals by bootstrap over pictures.

{rows}

Expected calibration error on PublicTest: {before:.3f} before, {after:.3f} after the temperature, which was set by the kept
pictures, as they are and with a lamp beside them: the more one side is darker, the less it believes (the logarithm of its
temperature gains {caution:+.2f} for each factor of e between the brightness of left and right).

Confusion on PublicTest (rows: right; columns: found):

{confusion}

## Limits

- FER2013's labels are one opinion each; people agree with them for about two pictures in three.
- Posed and photographed faces from the web; what somebody shows is not what somebody feels.
- Disgust is rare in training (436 pictures) and often taken for anger.
"""


def card(network: FaceExpert, learnt: Pictures, kept: Pictures, table: Table, recipe: Recipe) -> str:
    head = "| | " + " | ".join(EMOTIONS) + " |\n" + "|---" * (len(EMOTIONS) + 1) + "|"
    body = (
        f"| {name} | " + " | ".join(str(count) for count in row) + " |"
        for name, row in zip(EMOTIONS, table.confusion, strict=True)
    )
    return CARD.format(
        parameters=sum(p.numel() for p in network.parameters()),
        temperature=table.temperature,
        caution=float(network.caution),
        learnt=len(learnt.labels),
        kept=len(kept.labels),
        steps=recipe.steps,
        batch=recipe.batch,
        rate=recipe.peak_rate,
        seed=recipe.seed,
        rows="\n".join(table.rows),
        before=table.error[0],
        after=table.error[1],
        confusion="\n".join([head, *body]),
    )
