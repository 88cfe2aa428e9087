"""Voices of other languages say the English sentence, each word where the American voice has it."""

import numpy as np
import pytest
import torch

from engines.speech import accents, festival
from engines.speech.corpus import plan, write_shard
from engines.speech.dataset import load_corpus
from engines.speech.sentences import other_sentence, vocabulary_sentence
from engines.speech.shards import Shard
from engines.speech.vocabulary import WORDS
from engines.speech.voices import RATE, PronunciationError, respell
from nodes.runtime.errors import UserError

SENTENCES = [["bin", "blue", "at", "f", "two", "now"], ["three", "five", "zero", "eight"], ["h", "with", "j"]]
SPOKEN = {"stretches": [1.0, 0.8, 1.2], "commas": [frozenset({1}), frozenset(), frozenset()]}
VOICES = [
    pytest.param(
        voice,
        marks=pytest.mark.skipif(voice not in accents.installed(), reason=f"apt-get install {package}"),
    )
    for voice, package in accents.PACKAGES.items()
]
needs_italian = pytest.mark.skipif(
    "lp_diphone" not in accents.installed(), reason="apt-get install festvox-italp16k"
)


def levels(said, lengths):
    """Decibels below the loudest, in steps of 5 ms, of the first `lengths` samples of each utterance."""
    parts = [speech.samples[:length] for speech, length in zip(said, lengths, strict=True)]
    steps = np.concatenate([part / np.abs(part).max() for part in parts]).reshape(-1, RATE // 200)
    return 10 * np.log10(np.mean(steps**2, axis=1) + 1e-5)


@pytest.mark.parametrize("voice", VOICES)
def test_the_words_are_where_the_american_voice_has_them(voice):
    said = accents.say(SENTENCES, voice, **SPOKEN, rng=np.random.default_rng(1))
    told = festival.say(SENTENCES, "kal_diphone", **SPOKEN)
    for one, other, words in zip(said, told, SENTENCES, strict=True):
        assert [word for word, _, _ in one.words] == words
        for (_, *times), (_, *expected) in zip(one.words, other.words, strict=True):
            assert times == pytest.approx(expected, abs=1e-3)
        assert len(one.samples) == pytest.approx(len(other.samples), abs=0.03 * RATE)
        assert one.samples.dtype == np.float32
    # The sound keeps to these times: what is loud and quiet falls together with the American's.
    lengths = [min(len(a.samples), len(b.samples)) // 80 * 80 for a, b in zip(said, told, strict=True)]
    here, there = levels(said, lengths), levels(told, lengths)
    lags = range(-20, 21)
    alike = [float(np.corrcoef(np.roll(here, -lag), there)[0, 1]) for lag in lags]
    assert max(alike) > 0.7
    assert abs(lags[int(np.argmax(alike))]) <= 4  # 20 ms


@needs_italian
def test_an_accent_is_drawn_anew_and_is_the_same_for_a_seed():
    def say(seed):
        return accents.say(SENTENCES, "lp_diphone", **SPOKEN, rng=np.random.default_rng(seed))

    one, again, other = say(1), say(1), say(2)
    assert all((a.samples == b.samples).all() for a, b in zip(one, again, strict=True))
    assert not any(np.array_equal(a.samples, b.samples) for a, b in zip(one, other, strict=True))


@needs_italian
def test_joined_recordings_stay_within_16_bits():
    said = accents.say(SENTENCES, "lp_diphone", **SPOKEN, rng=np.random.default_rng(1))
    for speech in said:
        highest = np.abs(speech.samples).max()
        assert 0.01 < highest < 0.9
        # What ran over would come out at the other end: a step of twice the height.
        assert np.abs(np.diff(speech.samples)).max() < 1.2 * highest


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Every word of the vocabulary, and sentences of all kinds, in the American voice's phones."""
    rng = np.random.default_rng(4)
    told = [[word] for word in WORDS] + [vocabulary_sentence(rng) for _ in range(60)]
    told += [other_sentence(rng) for _ in range(30)]
    texts = [respell(words, frozenset()) for words in told]
    return accents._in_phones(texts, [1.0] * len(texts), str(tmp_path_factory.mktemp("phones")))


@pytest.mark.parametrize("voice", VOICES)
def test_no_sentence_is_lost(voice, many):
    rng = np.random.default_rng(5)
    for spoken in many:
        assert accents._segments(spoken, voice, rng).startswith("((# ")


def test_neighbours_that_were_never_recorded_together_are_joined_otherwise():
    def joined(phones, *joints):
        return accents._joined(phones, {"x": [["a"], ["b", "c"]], "y": [["d"]], "pau": [["#"]]}, {*joints})

    assert joined(["x", "y"], "a-d", "b-c", "c-d") == [["a"], ["d"]]
    assert joined(["x", "y"], "b-c", "c-d") == [["b", "c"], ["d"]]  # what the accent has in reserve
    assert joined(["x", "y"], "a-_", "_-d") == [["a"], ["_", "d"]]  # the voice stops between them
    assert joined(["x", "x"]) == [["a"], ["a"]]  # one long phone
    assert joined(["pau", "y", "pau"]) == [["#"], ["d"], ["#"]]
    with pytest.raises(PronunciationError, match="no joint was recorded for y in x y"):
        joined(["x", "y"], "d-a", "b-c")


def test_what_an_accent_does_not_speak_leaves_its_time_to_the_phone_before():
    spoken = [("pau", 0.2), ("hh", 0.3), ("aa", 0.5), ("r", 0.6), ("d", 0.7), ("r", 0.8), ("iy", 1.0)]
    silent, plain = {"hh": [["-"]]}, {"hh": [["h"]]}
    others = {phone: [[phone]] for phone in ("pau", "aa", "r", "d", "iy")}
    kept = accents._without_lost(spoken, others | silent, rhotic=False)
    assert kept == [("pau", 0.3), ("aa", 0.6), ("d", 0.7), ("r", 0.8), ("iy", 1.0)]
    assert accents._without_lost(spoken, others | plain, rhotic=True) == spoken


@needs_italian
def test_they_become_shards_half_of_them_of_other_speakers(tmp_path):
    pytest.importorskip("pyworld")
    write_shard(Shard("accent", 0, 12, "lp_diphone"), tmp_path, seed=0)
    made = load_corpus(tmp_path, torch.device("cpu")).utterances
    assert len(made) == 12
    assert {u.kind for u in made} <= {"accent", "other_accent"}
    assert {u.voice for u in made} == {"accent/lp_diphone", "accent/lp_diphone+world"}


def test_the_plan_has_the_voices_that_are_installed(monkeypatch):
    monkeypatch.setattr(accents, "installed", lambda: ["czech_krb", "lp_diphone"])

    def accented(**options):
        return [s for s in plan(None, None, 12_500, recorded=False, **options) if s.kind == "accent"]

    assert [(shard.voice, shard.single, shard.count) for shard in accented()] == [
        ("czech_krb", False, 300),
        ("lp_diphone", False, 300),
        ("czech_krb", True, 150),
        ("lp_diphone", True, 150),
    ]
    assert accented(accented=False) == []


def test_a_voice_that_is_not_installed_is_one_clear_line(monkeypatch, tmp_path):
    monkeypatch.setattr(accents, "VOICE_FOLDER", tmp_path)
    accents.joints.cache_clear()
    assert accents.installed() == []
    with pytest.raises(UserError, match="no voice czech_krb; remedy: apt-get install festvox-czech-krb"):
        accents.say(SENTENCES, "czech_krb", **SPOKEN, rng=np.random.default_rng(0))
