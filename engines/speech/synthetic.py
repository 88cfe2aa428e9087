"""Synthetic voices of the training speech, one generator a kind; recorded people are in `people.py`."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from engines.speech import accents, espeak, festival, flite, foreign, rhvoice, sentences
from engines.speech.revoice import as_other_speaker
from engines.speech.shards import Shard, Utterance
from engines.speech.voices import PronunciationError, Speech

_HELD_OUT_ESPEAK = ("steph", "steph2", "steph3")
HELD_OUT_FESTIVAL = "ked_diphone"
_VALIDATION, _OTHER = 0.03, 0.05  # shares of the synthetic utterances

_ACCENTS = ("en", "en", "en-GB-x-rp", "en-GB-scotland", "en-GB-x-gbclan", "en-GB-x-gbcwmd", "en-US", "en-029")
# Not speech that a person would be understood with: whispers, robots, croaks, broken klatts.
_NOT_PEOPLE = (
    "whisper",
    "robo",
    "demonic",
    "croak",
    "tweaky",
    "storm",
    "fast",
    "klatt5",
    "klatt6",
    "serious",
)


def _sentence(rng: np.random.Generator, shard: Shard) -> tuple[list[str], frozenset[int], bool]:
    """(words, words with a comma after them, whether they are outside the vocabulary)"""
    if shard.single:
        return [sentences.single_word(rng)], frozenset(), False
    other = not shard.heldout and rng.random() < _OTHER
    if other:
        return sentences.other_sentence(rng), frozenset(), True
    words = sentences.grid_sentence(rng) if shard.heldout else sentences.vocabulary_sentence(rng)
    pauses = rng.random(len(words) - 1) < (0.0 if rng.random() < 0.6 else 0.25)
    return words, frozenset(np.flatnonzero(pauses).tolist()), False


def _synthetic(
    shard: Shard, number: int, voice: str, said: Speech, other: bool, rng: np.random.Generator
) -> Utterance:
    split = "heldout" if shard.heldout else "validation" if rng.random() < _VALIDATION else "train"
    kind = f"other_{shard.kind}" if other else "single" if shard.single else shard.kind
    return Utterance(f"{shard.name}/{number}", voice, kind, split, replace(said, words=()) if other else said)


def espeak_variants() -> list[str]:
    """The variants of the installed espeak-ng that sound like people, the held out ones left out."""
    listing = subprocess.run(
        ["espeak-ng", "--voices=variant"], capture_output=True, text=True, check=True
    ).stdout
    names = {line.split("!v/")[1].split()[0] for line in listing.splitlines() if "!v/" in line}
    return sorted(
        name
        for name in names
        if name not in _HELD_OUT_ESPEAK and not any(part in name.lower() for part in _NOT_PEOPLE)
    )


def _one_by_one(
    shard: Shard, rng: np.random.Generator, say: Callable[[list[str], frozenset[int]], tuple[Speech, str]]
) -> Iterator[Utterance | str]:
    """Each sentence of `shard` from a `say` of its own, which takes words and commas and tells the voice."""
    for number in range(shard.count):
        words, commas, other = _sentence(rng, shard)
        try:
            said, voice = say(words, commas)
        except PronunciationError:
            yield "pronunciation"
            continue
        yield _synthetic(shard, number, f"{shard.kind}/{voice}", said, other, rng)


def _half_as_others(said: Speech, voice: str, rng: np.random.Generator) -> tuple[Speech, str]:
    return (as_other_speaker(said, rng), f"{voice}+world") if rng.random() < 0.5 else (said, voice)


def by_espeak(shard: Shard, rng: np.random.Generator) -> Iterator[Utterance | str]:
    synthesiser = espeak.synthesiser()
    variants = _HELD_OUT_ESPEAK if shard.heldout else espeak_variants()

    def say(words: list[str], commas: frozenset[int]) -> tuple[Speech, str]:
        voice = f"gmw/{rng.choice(_ACCENTS)}+{rng.choice(variants)}"
        said = synthesiser.say(
            words,
            voice,
            rate=int(rng.integers(120, 240)),
            pitch=int(rng.integers(25, 76)),
            pitch_range=int(rng.integers(15, 86)),
            commas=commas,
        )
        return said, voice.removeprefix("gmw/")

    return _one_by_one(shard, rng, say)


def by_foreign(shard: Shard, rng: np.random.Generator) -> Iterator[Utterance | str]:
    languages, variants = sorted(foreign.SPELT), espeak_variants()
    for number in range(shard.count):
        count = 1 if rng.random() < 0.6 else rng.integers(2, 7)
        digits = [str(digit) for digit in rng.choice(sentences.DIGITS, count)]
        language = str(rng.choice(languages))
        try:
            said, voice = foreign.say(digits, language, str(rng.choice(variants)), rng)
        except PronunciationError:
            yield "pronunciation"
            continue
        yield _synthetic(shard, number, f"foreign/{voice}", said, False, rng)


def by_flite(shard: Shard, rng: np.random.Generator) -> Iterator[Utterance | str]:
    synthesiser = flite.synthesiser()

    def say(words: list[str], commas: frozenset[int]) -> tuple[Speech, str]:
        voice = str(rng.choice(flite.VOICES, p=(0.3, 0.3, 0.3, 0.1)))
        usual = {"awb": 135, "rms": 100, "slt": 170, "kal16": 105}[voice]
        said = synthesiser.say(
            words,
            voice,
            stretch=float(rng.uniform(0.7, 1.25)),
            f0_mean=float(usual * rng.uniform(0.8, 1.25)),
            commas=commas,
        )
        return _half_as_others(said, voice, rng)

    return _one_by_one(shard, rng, say)


def by_rhvoice(shard: Shard, rng: np.random.Generator) -> Iterator[Utterance | str]:
    synthesiser = rhvoice.synthesiser()

    def say(words: list[str], commas: frozenset[int]) -> tuple[Speech, str]:
        voice = str(rng.choice(rhvoice.VOICES))
        said = synthesiser.say(
            words,
            voice,
            rate=float(rng.uniform(0.75, 1.4)),
            pitch=float(rng.uniform(0.8, 1.25)),
            commas=commas,
        )
        return _half_as_others(said, voice, rng)

    return _one_by_one(shard, rng, say)


def _batch(
    shard: Shard, rng: np.random.Generator, say: Callable[..., list[Speech | None]]
) -> Iterator[Utterance | str]:
    """All sentences of `shard` from one `say`."""
    planned = [_sentence(rng, shard) for _ in range(shard.count)]
    said = say(
        [words for words, _, _ in planned],
        shard.voice,
        stretches=rng.uniform(0.75, 1.25, shard.count).tolist(),
        commas=[commas for _, commas, _ in planned],
    )
    for number, (speech, (_, _, other)) in enumerate(zip(said, planned, strict=True)):
        if speech is None:
            yield "pronunciation"
            continue
        voice = shard.voice
        if not shard.heldout and rng.random() < 0.5:
            speech, voice = as_other_speaker(speech, rng), f"{voice}+world"
        yield _synthetic(shard, number, f"{shard.kind}/{voice}", speech, other, rng)


def by_festival(shard: Shard, rng: np.random.Generator) -> Iterator[Utterance | str]:
    return _batch(shard, rng, festival.say)


def by_accent(shard: Shard, rng: np.random.Generator) -> Iterator[Utterance | str]:
    return _batch(shard, rng, partial(accents.say, rng=rng))
