"""Recorded people in the training speech, as they are and re-voiced, one generator a kind."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from engines.speech import layouts, prompts, recordings
from engines.speech.revoice import Revoice, as_other_speaker, other_speaker
from engines.speech.shards import SHARD_SIZE, Shard, Utterance
from engines.speech.voices import trim
from nodes.runtime.errors import UserError

REVOICED_VARIANTS = 5
DIGIT_VARIANTS = 3
PROMPT_VARIANTS = 40  # each was recorded once
PROMPT_STRINGS = 300  # of each voice


def of_grid(shard: Shard, rng: np.random.Generator) -> Iterator[Utterance | str]:
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


def of_revoiced(shard: Shard, rng: np.random.Generator) -> Iterator[Utterance | str]:
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


def of_fsdd(shard: Shard, rng: np.random.Generator) -> Iterator[Utterance | str]:
    files = recordings.fsdd_files(Path(shard.source))[shard.voice]
    for path in files:
        yield Utterance(path.stem, f"fsdd/{shard.voice}", "fsdd", "train", recordings.read_digit(path))


def of_fsdd_revoiced(shard: Shard, rng: np.random.Generator) -> Iterator[Utterance | str]:
    files = recordings.fsdd_files(Path(shard.source))[shard.voice]
    for path in files:
        digit = recordings.read_digit(path)
        for variant in range(DIGIT_VARIANTS):
            said = as_other_speaker(digit, rng)
            yield Utterance(
                f"{path.stem}~{variant}", f"fsdd/{shard.voice}+world", "fsdd_revoiced", "train", said
            )


def of_fsdd_strings(shard: Shard, rng: np.random.Generator) -> Iterator[Utterance | str]:
    files = recordings.fsdd_files(Path(shard.source))[shard.voice]
    digits = [digit for digit in map(recordings.read_digit, files) if digit.words]
    for number in range(shard.count):
        chosen = rng.choice(len(digits), rng.integers(2, 7))
        said = recordings.digit_string([digits[index] for index in chosen], rng)
        yield Utterance(f"{shard.name}/{number}", f"fsdd/{shard.voice}", "fsdd_strings", "train", said)


def of_prompts(shard: Shard, rng: np.random.Generator) -> Iterator[Utterance | str]:
    voice = f"prompts/{shard.voice}"
    others = [("other", said) for said in prompts.others_of(shard.voice)]
    for number, (word, said) in enumerate(prompts.words_of(shard.voice) + others):
        kind = "prompts" if said.words else "other_prompts"
        yield Utterance(f"{shard.name}/{word}{number}", voice, kind, "train", said)


def of_prompts_revoiced(shard: Shard, rng: np.random.Generator) -> Iterator[Utterance | str]:
    for word, recorded in prompts.words_of(shard.voice):
        speaker = Revoice(recorded)
        for variant in range(PROMPT_VARIANTS):
            said = other_speaker(speaker, rng)
            voice = f"prompts/{shard.voice}+world"
            yield Utterance(f"{shard.name}/{word}~{variant}", voice, "prompts_revoiced", "train", said)


def of_prompts_strings(shard: Shard, rng: np.random.Generator) -> Iterator[Utterance | str]:
    recorded = [said for _, said in prompts.words_of(shard.voice)]
    for number in range(shard.count):
        chosen = rng.choice(len(recorded), rng.integers(2, 7))
        said = recordings.digit_string([recorded[index] for index in chosen], rng)
        voice = f"prompts/{shard.voice}"
        if rng.random() < 0.5:
            said, voice = as_other_speaker(said, rng), f"{voice}+world"
        yield Utterance(f"{shard.name}/{number}", voice, "prompts_strings", "train", said)
