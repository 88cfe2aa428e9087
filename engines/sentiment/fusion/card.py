"""The fusion's model card."""

CARD = """# fusion.onnx: emotion from whatever there is of face, voice and words

`opinions` float32 [1, 3, 7] (what face, voice and words experts answer, each divided by its temperature),
`embeddings` [1, 3, 64], `affects` [1, 3, 2] and `present` [1, 3] (0 for an expert that has nothing to say, up to 1)
give `logits` [1, 7], `affect` [1, 2] (valence and arousal: half what the emotions found are on the circumplex, half
what the experts say), `embedding` [1, 64] and `reliability` [1, 3], how much each expert counts.

This is the **{chosen}** fusion: {parameters:,} parameters (`engines/sentiment/fusion/model.py`).
`temperature` in the metadata: {temperature:.2f}.

Made by `python -m engines.sentiment.fusion.train`: seed {seed}, {steps:,} steps for each kind.

## Data

**The three were not recorded together.** A trio is a face of FER2013, a recording of RAVDESS and a sentence of MELD
that have the same label, drawn so that every emotion and every subset of modalities is as frequent as every other.
What such trios cannot teach: how one person's face, voice and words go together, or contradict each other. As the
three are independent given the label, the gain of fusing them is larger here than it will be on people.

Learnt from: FER2013 `Training/` (a twentieth that the face expert never saw, in light and half dark, and 3,000 it
knows, distorted), RAVDESS actors (some that the voice expert never heard, in quiet and in noise, and those it knows,
in noise), MELD training dialogues (a tenth that the words expert never read, and 3,000 lines it knows, misheard).
A set is drawn from as often as the root of its size says. The kind was chosen, and the temperature set, by what no
expert learnt from, clean and worse: by each half of it with fusions learnt without that half (cross-fitting). Mean UAR
there with all three and with each one missing: {chosen_by}. The exported one then learnt from both halves.
Measured on: FER2013 `PublicTest/`, the last three RAVDESS actors, MELD dev: {each} trios of each emotion.

Licence: research use (FER2013), CC BY-NC-SA 4.0 (RAVDESS), GPL-3.0 (MELD).

## Each alone, and fused: UAR over seven emotions

{subsets}

The exported fusion is {gain:+.1f} points over the best expert alone with all three there; with one missing, at
worst {worst:+.1f} points from the best that remains. An expert alone answers as it comes, without the fusion's
correction for classes that it names too readily; the last three rows show what that correction is worth. What a
fusion loses is in points, to having all three.

Expected calibration error over every subset alike: {any_before:.3f} before the temperature, {any_after:.3f} after; with
all three there {before:.3f} and {after:.3f}. One temperature serves all subsets.

## Missing modalities: UAR over the rate of missing

{rates}

`docs/pictures/missing.svg` draws it.

## Worse conditions: accuracy and mean confidence

{conditions}

An expert's figures are over its own measured set, as frequent as emotions are in it; the fusion's over trios, with
the two other modalities clean.
"""
