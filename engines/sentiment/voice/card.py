"""The voice expert's model card."""

from engines.sentiment.voice.classes import CLASSES
from engines.sentiment.voice.measure import Table
from engines.sentiment.voice.model import HALF_LIFE, VoiceExpert
from engines.sentiment.voice.recordings import KEPT_FOLD, Recordings, fold_actors
from engines.speech.recipe import Recipe

CARD = """\
# voice.onnx: emotion from a voice as it speaks

One step of 160 ms: `features` float32 [1, 16, 80] (`engines/speech/features.py`) and the state give `logits` [1, 7] over
angry, disgust, fear, happy, neutral, sad and surprise, `logits8` [1, 8] over RAVDESS's own classes, `affect` [1, 2] (valence
and arousal) and `embedding` [1, 64].  {parameters:,} parameters: causal convolutions and attentive statistics pooling whose
memory halves every {half_life:g} s (`engines/sentiment/voice/model.py`).  Weights rounded to float16, computing in float32.

`logits` divided by the metadata's `temperature` ({temperature:.2f}) are calibrated.  Calm counts as neutral.  `affect` is derived:
the expected coordinates of the emotions on the circumplex (`engines/sentiment/emotions.py`); nobody labelled valence here.

## Trained on

RAVDESS speech (Livingstone and Russo 2018), {count:,} recordings by {actors} actors, CC BY-NC-SA 4.0: so are these weights.
Four networks, each on three quarters of the actors; the one shipped never heard actors {kept}.  {steps:,} steps of {batch}
recordings of {seconds:.0f} s, AdamW, peak rate {rate:g}, averaged weights, seed {seed}, with
`python -m engines.sentiment.voice.train`.  Speed and pitch by -14 to +16 %, vocal tracts of other lengths, rooms, microphones,
noise from 0 to 30 dB for two fifths, levels from -45 to -10 dBFS, masks (SpecAugment) and blends of two (mixup).

## Measured

Each recording by the network of its fold, on actors it never heard, read at the recording's end.  Folds: {folds}.
95 % intervals by bootstrap over actors.  The noises are a fifth of `../shared/data/noise` that training does not use.

{rows}

Expected calibration error over the seven emotions, as recorded: {before:.3f} before, {after:.3f} after the temperature,
which was fitted to the same answers.

Confusion of all four folds (rows: right; columns: found):

{confusion}

## Limits

- Actors who say two sentences in North American English, at a volume and with an emphasis that nobody uses at home.  On
  spontaneous speech expect far less, and on other languages less still.
- The step takes out the mean level of the last seconds, yet a much quieter recording is read worse (table): its faint
  bands sink under the features' floor.  The level follows at 1 dB a second after loud speech, so the first words of
  a quiet voice after a loud one are read too low.
- Calm and neutral, sad and neutral, are the pairs it takes for each other.
"""


def card(network: VoiceExpert, recordings: Recordings, table: Table, recipe: Recipe) -> str:
    head = "| | " + " | ".join(CLASSES) + " |\n" + "|---" * (len(CLASSES) + 1) + "|"
    body = (
        f"| {name} | " + " | ".join(str(count) for count in row) + " |"
        for name, row in zip(CLASSES, table.confusion, strict=True)
    )
    return CARD.format(
        parameters=sum(p.numel() for p in network.parameters()),
        half_life=HALF_LIFE,
        temperature=table.temperature,
        count=len(recordings.classes),
        actors=len(set(recordings.actors.tolist())),
        kept=", ".join(str(actor) for actor in fold_actors(recordings.actors, KEPT_FOLD)),
        steps=recipe.steps,
        batch=recipe.batch,
        seconds=recipe.frames * 0.04,
        rate=recipe.peak_rate,
        seed=recipe.seed,
        folds=", ".join(f"{fold:.1%}" for fold in table.folds),
        rows="\n".join(table.rows),
        before=table.error[0],
        after=table.error[1],
        confusion="\n".join([head, *body]),
    )
