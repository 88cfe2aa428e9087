"""The synthesisers say what they are told, when they say they did."""

import ctypes.util
import shutil
import subprocess

import numpy as np
import pytest

from engines.speech import espeak, festival, flite, rhvoice, voices
from engines.speech.vocabulary import WORDS
from engines.speech.voices import RATE, Speech
from nodes.runtime.errors import UserError

SENTENCE = ["place", "red", "at", "a", "zero", "now"]

needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")
needs_festival = pytest.mark.skipif(shutil.which("festival") is None, reason="festival is not installed")
needs_rhvoice = pytest.mark.skipif(
    ctypes.util.find_library("RHVoice") is None,
    reason="RHVoice, of Debian's section non-free, is not installed",
)


def loudness(speech, start, end):
    piece = speech.samples[round(start * RATE) : round(end * RATE)]
    return float(np.sqrt(np.mean(piece**2)))


def pitch(speech):
    """The median, in Hz."""
    pyworld = pytest.importorskip("pyworld")
    f0, _ = pyworld.harvest(speech.samples.astype(np.float64), RATE, f0_floor=60, f0_ceil=400)
    return float(np.median(f0[f0 > 0]))


def check(speech, words):
    """Every word is there, in order, and is heard where it is said to be; outside the words it is quiet."""
    assert [text for text, _, _ in speech.words] == list(words)
    assert speech.samples.dtype == np.float32
    assert 0.05 < np.abs(speech.samples).max() <= 1
    edges = [time for _, start, end in speech.words for time in (start, end)]
    assert edges == sorted(edges)
    assert edges[0] >= 0
    assert edges[-1] <= len(speech.samples) / RATE + 0.01
    spoken = np.mean([loudness(speech, start, end) for _, start, end in speech.words])
    for _, start, end in speech.words:
        assert loudness(speech, start, end) > 0.1 * spoken
    if edges[0] > 0.05:
        assert loudness(speech, 0, edges[0] - 0.02) < 0.1 * spoken
    if len(speech.samples) / RATE - edges[-1] > 0.08:
        assert loudness(speech, edges[-1] + 0.05, len(speech.samples) / RATE) < 0.1 * spoken


@needs_espeak
@pytest.mark.parametrize("voice", ["gmw/en", "gmw/en+f2", "gmw/en-US+m3", "gmw/en-GB-scotland+linda"])
def test_espeak_says_the_sentence(voice):
    check(espeak.synthesiser().say(SENTENCE, voice), SENTENCE)


@needs_flite
@pytest.mark.parametrize("voice", flite.VOICES)
def test_flite_says_the_sentence(voice):
    check(flite.synthesiser().say(SENTENCE, voice), SENTENCE)


@needs_rhvoice
@pytest.mark.parametrize("voice", rhvoice.VOICES)
@pytest.mark.parametrize("rate", [0.75, 1.4])
def test_rhvoice_says_the_sentence(voice, rate):
    check(rhvoice.synthesiser().say(SENTENCE, voice, rate=rate), SENTENCE)


@needs_festival
def test_festival_says_every_sentence_of_a_batch():
    sentences = [SENTENCE, ["bin"], ["lay", "green", "by", "z", "five", "again"]]
    said = festival.say(
        sentences, "kal_diphone", stretches=[1.0, 1.0, 1.3], commas=[frozenset(), frozenset(), frozenset({2})]
    )
    for speech, words in zip(said, sentences, strict=True):
        check(speech, words)


@needs_espeak
@needs_flite
def test_all_vocabulary_words_are_single_words_to_the_synthesisers():
    for say, voice in ((espeak.synthesiser().say, "gmw/en"), (flite.synthesiser().say, "kal16")):
        for word in WORDS:
            assert [text for text, _, _ in say([word], voice).words] == [word]


@needs_espeak
def test_espeak_says_letters_by_their_british_names():
    # espeak's own phonemes of the last utterance; "a" must not be the article, "z" not the American zee.
    names = {"a": "eI", "e": "i:", "i": "aI", "o": "oU", "u": "ju:", "z": "zEd", "h": "eItS", "y": "waI"}
    for letter, phonemes in names.items():
        spoken = espeak._LETTER_NAMES.get(letter, letter)
        command = ["espeak-ng", "-v", "en-gb", "-x", "-q", f"lay {spoken} two"]
        heard = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        assert "".join(heard[1:-1]).strip("';").replace("'", "") == phonemes


@needs_flite
def test_flite_says_letters_by_their_names():
    for letter, phones in {"a": "ey", "z": "z eh d", "e": "iy", "u": "y uw", "i": "ay", "h": "ey ch"}.items():
        spoken = voices.LETTER_NAMES.get(letter, letter)
        command = ["flite", "-voice", "kal16", "-ps", "-t", f"red {spoken} two", "-o", "/dev/null"]
        heard = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert heard.split("r eh d ")[1].split(" t uw")[0] == phones


@needs_rhvoice
def test_all_vocabulary_words_are_single_words_to_rhvoice():
    said = rhvoice.synthesiser().say(WORDS, "slt")
    assert [text for text, _, _ in said.words] == list(WORDS)


@needs_rhvoice
def test_rhvoice_says_letters_by_their_names():
    # It tells no phones, but the same phones sound the same. "a" is not the article, "z" not American.
    say = rhvoice.synthesiser().say

    def sound(word):
        return say(["red", word, "two"], "slt").samples

    assert np.array_equal(sound("a"), sound("eigh"))
    assert np.array_equal(sound("z"), sound("zed"))
    assert np.array_equal(sound("u"), sound("you"))
    assert not np.array_equal(sound("z"), sound("zee"))


@needs_rhvoice
def test_rhvoice_obeys_pace_pitch_and_pauses():
    say = rhvoice.synthesiser().say
    usual = say(SENTENCE, "bdl")
    quick = say(SENTENCE, "bdl", rate=1.25)
    assert len(usual.samples) / len(quick.samples) == pytest.approx(1.25, rel=0.02)
    for (_, start, end), (_, new_start, new_end) in zip(usual.words, quick.words, strict=True):
        assert (start, end) == pytest.approx((1.25 * new_start, 1.25 * new_end), abs=0.02)
    high = say(SENTENCE, "bdl", pitch=1.2)
    assert high.words == usual.words
    assert pitch(high) / pitch(usual) == pytest.approx(1.2, rel=0.1)
    paused = say(SENTENCE, "slt", commas=frozenset({1}))
    assert paused.words[2][1] - paused.words[1][2] > 0.08


@needs_rhvoice
def test_an_rhvoice_voice_that_is_not_there_is_one_clear_line():
    with pytest.raises(UserError, match="RHVoice has no voice 'klingon'; it has alan, bdl, clb, slt"):
        rhvoice.synthesiser().say(SENTENCE, "klingon")


def test_a_missing_library_names_the_packages_that_hold_it():
    with pytest.raises(
        UserError, match=r"libklingon\.so not found.*apt-get install librhvoice5 rhvoice-english"
    ):
        voices.library("libklingon.so", voices.RHVOICE)


@needs_espeak
@needs_flite
def test_pace_and_pauses_are_obeyed():
    slow = flite.synthesiser().say(SENTENCE, "rms", stretch=1.2)
    usual = flite.synthesiser().say(SENTENCE, "rms")
    assert len(slow.samples) / len(usual.samples) == pytest.approx(1.2, abs=0.06)
    quick = espeak.synthesiser().say(SENTENCE, "gmw/en", rate=240)
    assert len(quick.samples) < 0.8 * len(espeak.synthesiser().say(SENTENCE, "gmw/en", rate=150).samples)
    paused = espeak.synthesiser().say(SENTENCE, "gmw/en", commas=frozenset({2}))
    assert paused.words[3][1] - paused.words[2][2] > 0.08


@needs_flite
def test_the_same_words_sound_the_same_again():
    first = flite.synthesiser().say(SENTENCE, "slt")
    flite.synthesiser().say(["again"], "rms", stretch=0.8, f0_mean=90)
    second = flite.synthesiser().say(SENTENCE, "slt")
    assert first.words == second.words  # its breath noise differs, so the samples do a little
    assert np.corrcoef(first.samples, second.samples)[0, 1] > 0.98


@needs_espeak
def test_an_unknown_espeak_voice_is_one_clear_line():
    with pytest.raises(UserError, match="espeak-ng has no voice 'gmw/klingon'"):
        espeak.synthesiser().say(SENTENCE, "gmw/klingon")


def test_a_missing_festival_voice_or_program_is_one_clear_line(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(UserError, match=r"festival cannot speak with kal_diphone.*apt-get install") as caught:
        festival.say([SENTENCE], "kal_diphone", stretches=[1.0], commas=[frozenset()])
    assert "\n" not in str(caught.value)


@needs_festival
def test_a_festival_voice_that_is_not_installed_is_one_clear_line():
    with pytest.raises(
        UserError, match=r"festival cannot speak with klingon_diphone.*apt-get install"
    ) as caught:
        festival.say([SENTENCE], "klingon_diphone", stretches=[1.0], commas=[frozenset()])
    assert "\n" not in str(caught.value)


@needs_flite
def test_revoicing_moves_pitch_formants_and_pace_but_not_the_words():
    pytest.importorskip("pyworld")
    from engines.speech.revoice import Revoice

    man = flite.synthesiser().say(SENTENCE, "rms")
    woman = Revoice(man).say(f0_scale=1.7, formant_scale=1.2, stretch=1.1)

    def centroid(speech):
        power = np.abs(np.fft.rfft(speech.samples)) ** 2
        band = slice(0, len(power) // 2)  # to 4 kHz
        return float(
            (power[band] * np.arange(len(power))[band]).sum() / power[band].sum() / len(power) * RATE / 2
        )

    assert pitch(woman) / pitch(man) == pytest.approx(1.7, rel=0.1)
    assert centroid(woman) > 1.1 * centroid(man)
    check(woman, SENTENCE)
    for (_, start, end), (_, new_start, new_end) in zip(man.words, woman.words, strict=True):
        assert (new_start, new_end) == pytest.approx((1.1 * start, 1.1 * end))


def test_trim_keeps_the_words_where_they_are_heard():
    samples = np.zeros(RATE * 2, np.float32)
    samples[RATE // 2 : RATE] = 0.5
    trimmed = voices.trim(Speech(samples, (("bin", 0.5, 1.0),)), 0.1)
    ((_, start, end),) = trimmed.words
    assert len(trimmed.samples) == round(0.7 * RATE)
    assert (start, end) == pytest.approx((0.1, 0.6))
    assert loudness(trimmed, start, end) == pytest.approx(0.5)
