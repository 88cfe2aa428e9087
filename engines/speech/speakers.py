"""Who speaks in the training speech: real, re-voiced and synthetic utterances, one generator a kind.

A generator yields an `Utterance`, or a word saying why one was given up. What it draws comes from the shard's
own random numbers, so a shard is the same whenever and wherever it is made.
"""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from engines.speech import (
    accents,
    espeak,
    festival,
    flite,
    foreign,
    layouts,
    prompts,
    recordings,
    rhvoice,
    sentences,
)
from engines.speech.revoice import Revoice
from engines.speech.voices import PronunciationError, Speech, trim
from nodes.runtime.errors import UserError

SHARD_SIZE = 600  # utterances
_HELD_OUT_ESPEAK = ("steph", "steph2", "steph3")
HELD_OUT_FESTIVAL = "ked_diphone"
_VALIDATION, _OTHER = 0.03, 0.05  # shares of the synthetic utterances
REVOICED_VARIANTS = 5
DIGIT_VARIANTS = 3
PROMPT_VARIANTS = 40  # each was recorded once
PROMPT_STRINGS = 300  # of each voice

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


@dataclass(frozen=True)
class Utterance:
    """One line of a shard: `speech` said by `voice`, of `kind`, for `split`."""

    id: str
    voice: str
    kind: str
    split: str
    speech: Speech


@dataclass(frozen=True)
class Shard:
    """What one shard is to hold; `source` names where its clips are, `count` how many are asked for.

    single: of words said alone, in place of sentences.
    """

    kind: str
    index: int
    count: int
    voice: str = ""
    heldout: bool = False
    source: str = ""
    single: bool = False

    @property
    def name(self) -> str:
        return "-".join(
            ["heldout"] * self.heldout
            + ["single"] * self.single
            + [self.kind]
            + [self.voice] * bool(self.voice)
            + [f"{self.index:03d}"]
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


def _as_other_speaker(speech: Speech, rng: np.random.Generator) -> Speech:
    """A woman, a child or another man from an adult's voice, the vocal tract going with the pitch."""
    return _other_speaker(Revoice(speech), rng)


def _other_speaker(speaker: Revoice, rng: np.random.Generator) -> Speech:
    tract = rng.uniform(0.84, 1.28)
    return speaker.say(
        f0_scale=float(tract**2 * rng.uniform(0.8, 1.25)),
        formant_scale=float(tract),
        stretch=float(rng.uniform(0.85, 1.2)),
        f0_range=float(rng.uniform(0.6, 1.5)),
    )


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


def _espeak(shard: Shard, rng: np.random.Generator) -> Iterator[Utterance | str]:
    synthesiser = espeak.synthesiser()
    variants = _HELD_OUT_ESPEAK if shard.heldout else espeak_variants()
    for number in range(shard.count):
        words, commas, other = _sentence(rng, shard)
        voice = f"gmw/{rng.choice(_ACCENTS)}+{rng.choice(variants)}"
        try:
            said = synthesiser.say(
                words,
                voice,
                rate=int(rng.integers(120, 240)),
                pitch=int(rng.integers(25, 76)),
                pitch_range=int(rng.integers(15, 86)),
                commas=commas,
            )
        except PronunciationError:
            yield "pronunciation"
            continue
        yield _synthetic(shard, number, f"espeak/{voice[4:]}", said, other, rng)


def _foreign(shard: Shard, rng: np.random.Generator) -> Iterator[Utterance | str]:
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


def _flite(shard: Shard, rng: np.random.Generator) -> Iterator[Utterance | str]:
    synthesiser = flite.synthesiser()
    for number in range(shard.count):
        words, commas, other = _sentence(rng, shard)
        voice = str(rng.choice(flite.VOICES, p=(0.3, 0.3, 0.3, 0.1)))
        usual = {"awb": 135, "rms": 100, "slt": 170, "kal16": 105}[voice]
        try:
            said = synthesiser.say(
                words,
                voice,
                stretch=float(rng.uniform(0.7, 1.25)),
                f0_mean=float(usual * rng.uniform(0.8, 1.25)),
                commas=commas,
            )
        except PronunciationError:
            yield "pronunciation"
            continue
        if rng.random() < 0.5:
            said, voice = _as_other_speaker(said, rng), f"{voice}+world"
        yield _synthetic(shard, number, f"flite/{voice}", said, other, rng)


def _rhvoice(shard: Shard, rng: np.random.Generator) -> Iterator[Utterance | str]:
    synthesiser = rhvoice.synthesiser()
    for number in range(shard.count):
        words, commas, other = _sentence(rng, shard)
        voice = str(rng.choice(rhvoice.VOICES))
        try:
            said = synthesiser.say(
                words,
                voice,
                rate=float(rng.uniform(0.75, 1.4)),
                pitch=float(rng.uniform(0.8, 1.25)),
                commas=commas,
            )
        except PronunciationError:
            yield "pronunciation"
            continue
        if rng.random() < 0.5:
            said, voice = _as_other_speaker(said, rng), f"{voice}+world"
        yield _synthetic(shard, number, f"rhvoice/{voice}", said, other, rng)


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
            speech, voice = _as_other_speaker(speech, rng), f"{voice}+world"
        yield _synthetic(shard, number, f"{shard.kind}/{voice}", speech, other, rng)


def _festival(shard: Shard, rng: np.random.Generator) -> Iterator[Utterance | str]:
    return _batch(shard, rng, festival.say)


def _accent(shard: Shard, rng: np.random.Generator) -> Iterator[Utterance | str]:
    return _batch(shard, rng, partial(accents.say, rng=rng))


def _grid(shard: Shard, rng: np.random.Generator) -> Iterator[Utterance | str]:
    clips = layouts.find_clips(Path(shard.source))
    for clip in clips[shard.index * SHARD_SIZE : shard.index * SHARD_SIZE + shard.count]:
        try:
            speech = recordings.read_clip(clip)
        except UserError:
            yield "unreadable"
            continue
        except ValueError:
            yield "words"
            continue
        split = "validation" if clip.held_out else "train"
        yield Utterance(clip.id, f"grid/{clip.speaker}", "grid", split, speech)


def grid_train(folder: str) -> list[layouts.Clip]:
    return [clip for clip in layouts.find_clips(Path(folder)) if not clip.held_out]


def _revoiced(shard: Shard, rng: np.random.Generator) -> Iterator[Utterance | str]:
    clips_a_shard = SHARD_SIZE // REVOICED_VARIANTS
    first = shard.index * clips_a_shard
    for clip in grid_train(shard.source)[first : first + clips_a_shard]:
        try:
            speaker = Revoice(trim(recordings.read_clip(clip), 0.25))
        except (UserError, ValueError):
            yield "unreadable"
            continue
        for variant in range(REVOICED_VARIANTS):
            tract = float(rng.uniform(0.82, 1.3))
            said = speaker.say(
                f0_scale=float(tract**2 * rng.uniform(0.8, 1.3)),
                formant_scale=tract,
                stretch=float(rng.uniform(0.85, 1.25)),
                f0_range=float(rng.uniform(0.6, 1.5)),
            )
            voice = f"grid/{clip.speaker}+world"
            yield Utterance(f"{clip.id}~{variant}", voice, "revoiced", "train", said)


def _fsdd(shard: Shard, rng: np.random.Generator) -> Iterator[Utterance | str]:
    files = recordings.fsdd_files(Path(shard.source))[shard.voice]
    for path in files:
        yield Utterance(path.stem, f"fsdd/{shard.voice}", "fsdd", "train", recordings.read_digit(path))


def _fsdd_revoiced(shard: Shard, rng: np.random.Generator) -> Iterator[Utterance | str]:
    files = recordings.fsdd_files(Path(shard.source))[shard.voice]
    for path in files:
        digit = recordings.read_digit(path)
        for variant in range(DIGIT_VARIANTS):
            said = _as_other_speaker(digit, rng)
            yield Utterance(
                f"{path.stem}~{variant}", f"fsdd/{shard.voice}+world", "fsdd_revoiced", "train", said
            )


def _fsdd_strings(shard: Shard, rng: np.random.Generator) -> Iterator[Utterance | str]:
    files = recordings.fsdd_files(Path(shard.source))[shard.voice]
    digits = [digit for digit in map(recordings.read_digit, files) if digit.words]
    for number in range(shard.count):
        chosen = rng.choice(len(digits), rng.integers(2, 7))
        said = recordings.digit_string([digits[index] for index in chosen], rng)
        yield Utterance(f"{shard.name}/{number}", f"fsdd/{shard.voice}", "fsdd_strings", "train", said)


def _prompts(shard: Shard, rng: np.random.Generator) -> Iterator[Utterance | str]:
    voice = f"prompts/{shard.voice}"
    others = [("other", said) for said in prompts.others_of(shard.voice)]
    for number, (word, said) in enumerate(prompts.words_of(shard.voice) + others):
        kind = "prompts" if said.words else "other_prompts"
        yield Utterance(f"{shard.name}/{word}{number}", voice, kind, "train", said)


def _prompts_revoiced(shard: Shard, rng: np.random.Generator) -> Iterator[Utterance | str]:
    for word, recorded in prompts.words_of(shard.voice):
        speaker = Revoice(recorded)
        for variant in range(PROMPT_VARIANTS):
            said = _other_speaker(speaker, rng)
            voice = f"prompts/{shard.voice}+world"
            yield Utterance(f"{shard.name}/{word}~{variant}", voice, "prompts_revoiced", "train", said)


def _prompts_strings(shard: Shard, rng: np.random.Generator) -> Iterator[Utterance | str]:
    recorded = [said for _, said in prompts.words_of(shard.voice)]
    for number in range(shard.count):
        chosen = rng.choice(len(recorded), rng.integers(2, 7))
        said = recordings.digit_string([recorded[index] for index in chosen], rng)
        voice = f"prompts/{shard.voice}"
        if rng.random() < 0.5:
            said, voice = _as_other_speaker(said, rng), f"{voice}+world"
        yield Utterance(f"{shard.name}/{number}", voice, "prompts_strings", "train", said)


SPEAKERS: dict[str, Callable[[Shard, np.random.Generator], Iterator[Utterance | str]]] = {
    "grid": _grid,
    "revoiced": _revoiced,
    "flite": _flite,
    "fsdd": _fsdd,
    "fsdd_strings": _fsdd_strings,
    "fsdd_revoiced": _fsdd_revoiced,
    "prompts": _prompts,
    "prompts_revoiced": _prompts_revoiced,
    "prompts_strings": _prompts_strings,
    "espeak": _espeak,
    "foreign": _foreign,
    "rhvoice": _rhvoice,
    "festival": _festival,
    "accent": _accent,
}
