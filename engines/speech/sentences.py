"""What synthetic voices are asked to say: the GRID vocabulary, and sentences with no word of it."""

import numpy as np

from engines.speech.vocabulary import DIGITS, LETTERS, SLOTS, WORDS

# Everyday speech with no GRID word and no homophone of one (see, you, are, to, for, why, I, read, buy ...):
# whoever trains on it must hear that nothing of the vocabulary was said.
_SUBJECTS = (
    "the neighbour", "my brother", "our teacher", "the old captain", "somebody", "the tall woman",
    "his daughter", "the driver", "nobody", "the whole family", "that young doctor", "the baker",
    "her uncle", "the mayor",
)  # fmt: skip
_VERBS = (
    "forgot", "repaired", "carried home", "painted", "found", "never liked", "borrowed", "dropped", "washed",
    "photographed", "always wanted", "ordered", "cooked", "sold", "could not open", "kept", "described",
)  # fmt: skip
_OBJECTS = (
    "the wooden table", "some fresh bread", "an umbrella", "the garden gate", "breakfast",
    "those heavy boxes", "the newspaper", "an enormous pumpkin", "the kitchen window",
    "his favourite jacket", "the morning train", "their broken bicycle", "some orange juice",
    "the museum ticket", "an apple pie", "the telephone",
)  # fmt: skip
_ENDINGS = (
    "", "yesterday", "last summer", "on Monday", "because of the rain", "after lunch", "from the market",
    "without asking", "during the meeting", "before midnight", "near the river", "every weekend",
)  # fmt: skip
_PHRASES = (
    "good morning everybody", "how much does that cost", "thanks very much", "what happened there",
    "turn the music down", "where did they go", "happy birthday grandma", "never mind", "sorry about that",
    "could somebody open the door", "the weather should improve tomorrow", "hello computer", "excuse me",
    "that sounds wonderful", "dinner should be ready", "hold on", "no thanks", "maybe later", "yes of course",
    "let us go home", "stop the machine", "what time does the shop close", "help me lift this",
)  # fmt: skip


def grid_sentence(rng: np.random.Generator) -> list[str]:
    """Six words of GRID's grammar."""
    return [str(rng.choice(slot)) for slot in SLOTS]


def vocabulary_sentence(rng: np.random.Generator) -> list[str]:
    """1 to 8 vocabulary words: 60 % GRID grammar, 20 % any order, 10 % digits, 10 % alone."""
    share = rng.random()
    if share < 0.60:
        return grid_sentence(rng)
    if share < 0.80:
        return [str(word) for word in rng.choice(WORDS, rng.integers(1, 9))]
    if share < 0.90:
        return [str(word) for word in rng.choice(DIGITS, rng.integers(2, 8))]
    # Letters are GRID's hardest words (b, d, e, g, p, t, v): single words are mostly letters.
    return [str(rng.choice(LETTERS if rng.random() < 0.7 else WORDS))]


def single_word(rng: np.random.Generator) -> str:
    """A word said alone, as answers and commands are: mostly digits."""
    return str(rng.choice(DIGITS if rng.random() < 0.6 else WORDS))


def other_sentence(rng: np.random.Generator) -> list[str]:
    """An everyday sentence with no word of the vocabulary."""
    if rng.random() < 0.25:
        return str(rng.choice(_PHRASES)).split()
    parts = [str(rng.choice(part)) for part in (_SUBJECTS, _VERBS, _OBJECTS, _ENDINGS)]
    return " ".join(parts).split()
