"""Digits with the accents of other languages."""

import shutil

import numpy as np
import pytest

from engines.speech import foreign
from engines.speech.shards import Shard
from engines.speech.speakers import SPEAKERS
from engines.speech.vocabulary import DIGITS

pytestmark = pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed")


@pytest.mark.parametrize("language", sorted(foreign.SPELT))
def test_every_digit_is_one_short_word_and_not_spelt_out(language):
    rng = np.random.default_rng(0)
    assert tuple(foreign.SPELT[language]) == DIGITS
    for digit, ways in foreign.SPELT[language].items():
        for _ in ways:
            said, voice = foreign.say([digit], language, "f2", rng)
            ((word, start, end),) = said.words
            assert word == digit
            assert 0.1 < end - start < 1.1, (voice, digit)


def test_digits_are_said_alone_and_in_rows_by_many_voices():
    made = list(SPEAKERS["foreign"](Shard("foreign", 0, 60), np.random.default_rng(1)))
    assert {u.kind for u in made} == {"foreign"}
    assert len({u.voice for u in made}) > 30
    counts = [len(u.speech.words) for u in made]
    assert 0.4 < np.mean(np.array(counts) == 1) < 0.8
    assert max(counts) > 3
