"""Who speaks in the training speech: real, re-voiced and synthetic utterances, one generator a kind.

A generator yields an `Utterance`, or a word saying why one was given up. What it draws comes from the shard's
own random numbers, so a shard is the same whenever and wherever it is made.
"""

from collections.abc import Callable, Iterator

import numpy as np

from engines.speech import people, synthetic
from engines.speech.shards import Shard, Utterance

SPEAKERS: dict[str, Callable[[Shard, np.random.Generator], Iterator[Utterance | str]]] = {
    "grid": people.of_grid,
    "revoiced": people.of_revoiced,
    "flite": synthetic.by_flite,
    "fsdd": people.of_fsdd,
    "fsdd_strings": people.of_fsdd_strings,
    "fsdd_revoiced": people.of_fsdd_revoiced,
    "prompts": people.of_prompts,
    "prompts_revoiced": people.of_prompts_revoiced,
    "prompts_strings": people.of_prompts_strings,
    "espeak": synthetic.by_espeak,
    "foreign": synthetic.by_foreign,
    "rhvoice": synthetic.by_rhvoice,
    "festival": synthetic.by_festival,
    "accent": synthetic.by_accent,
}
