"""The words expert's model card."""

CARD = """# words.onnx: emotion from words

`words`, `before` int64 [1, {length}] (sub-words of a sentence, and of the two before it) and `grams` int64
[1, {most}] (its words, stretches of letters and pairs of words, hashed into {buckets:,} buckets) give
`logits` float32 [1, 7] (angry, disgust, fear, happy, neutral, sad, surprise), `sentiment` [1, 3] (negative,
neutral, positive), `affect` [1, 2] (valence -1..1 by SST's five grades; arousal expected on the circumplex, which
says nothing that the logits do not) and `embedding` [1, 64]. `temperature` in the metadata: {temperature:.2f}.

{parameters:,} parameters, a wide part and a deep part whose beliefs are averaged
(`engines/sentiment/words/model.py`). {vocabulary:,} sub-words, learnt from the training sentences alone; nothing
is pretrained and nothing is downloaded. The vocabulary is in the metadata.

Made by `python -m engines.sentiment.words.train --data DATA`: seed {seed}, {steps:,} steps of {batch} sentences
for the deep part, logistic regression for the wide one.

## Data

| set | sentences | licence |
|---|---|---|
| SST fine, train (film reviews) | {graded:,} | research use (Socher et al. 2013) |
| MELD, train less what is kept (lines of *Friends*, with what was said before) | {learnt:,} | GPL-3.0 |
| MELD, kept to set how sure it is (a tenth of the training dialogues) | {kept:,} | GPL-3.0 |

Licence of these weights: research use, as SST asks, and GPL-3.0 as MELD asks.

## Measured on the dev sets

| sentences | SST, good or bad | MELD sentiment, weighted F1 | MELD emotion, weighted F1 | UAR | accuracy | mean confidence |
|---|---|---|---|---|---|---|
{rows}

A wrong word is another word two times in three, else it is missing. How sure it is was set by the kept dialogues, some
of their words wrong, half without marks: the more its two parts disagree and the less there is to read, the less it
believes (the logarithm of its temperature gains {caution[0]:+.2f} by a nat of disagreement and {caution[1]:+.2f} by the
logarithm of the count of sub-words). Expected calibration error of the emotions: {kept_before:.3f} before and
{kept_after:.3f} after that on the kept dialogues as written, {dev:.3f} on MELD dev. Kinds and sizes of network were
compared on these same dev sets, so the first row flatters a little; the steps and the seed were not chosen by them.

## Limits

- A recogniser writes no marks, so live the second and third row count, not the first.
- Film reviews and one television series, in American English. Disgust and fear are rare in MELD, and found badly.
- It reads words, not how they are said: irony is for the other experts.
"""
