"""The corpus and the lips as tensors: what ``corpus.py`` and ``lips.py`` wrote, read back whole."""

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.speech.crops import read_crops
from engines.speech.features import SAMPLE_RATE
from engines.speech.vocabulary import TOKENS
from nodes.runtime.errors import UserError

TOKEN = {word: index for index, word in enumerate(TOKENS)}


@dataclass(frozen=True)
class Utterance:
    """start, end: samples in ``Corpus.sound``.  words: (token, start, end), seconds from the utterance's
    start."""

    id: str
    voice: str
    kind: str
    split: str
    start: int
    end: int
    words: tuple[tuple[int, float, float], ...]

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / SAMPLE_RATE

    @property
    def text(self) -> list[str]:
        return [TOKENS[token] for token, _, _ in self.words]


@dataclass(frozen=True)
class Corpus:
    """sound: int16 [n], every utterance of every shard one after another."""

    sound: Tensor
    utterances: tuple[Utterance, ...]

    def select(
        self, split: str, kinds: Iterable[str] | None = None, voices: Iterable[str] | None = None
    ) -> list[Utterance]:
        wanted, heard = (set(kinds) if kinds else None), (set(voices) if voices else None)
        return [
            u
            for u in self.utterances
            if u.split == split
            and (wanted is None or u.kind in wanted)
            and (heard is None or u.voice in heard)
        ]


def _samples(shard: Path) -> NDArray[np.int16]:
    samples, rate = soundfile.read(shard, dtype="int16")
    if rate != SAMPLE_RATE:
        raise UserError(f"{shard}: {rate} Hz instead of {SAMPLE_RATE}; build the corpus again")
    return samples  # type: ignore[no-any-return]


def load_corpus(folder: Path, device: torch.device) -> Corpus:
    """Raises UserError where the folder has no shards (make them: ``python -m
    engines.speech.corpus``)."""
    # A shard none of whose utterances was good has an empty table and no sound.
    indices = sorted(index for index in folder.glob("*.jsonl") if index.stat().st_size)
    if not indices:
        raise UserError(
            f"{folder}: no *.jsonl shards; make them with `python -m engines.speech.corpus {folder}`"
        )
    sounds, utterances, base = [], [], 0
    with ThreadPoolExecutor() as pool:
        # libsndfile decodes without Python's lock, so on all cores at once.
        decoded = list(pool.map(lambda index: _samples(index.with_suffix(".opus")), indices))
    for index, sound in zip(indices, decoded, strict=True):
        for line in index.read_text().splitlines():
            row = json.loads(line)
            words = tuple((TOKEN[text], float(start), float(end)) for text, start, end in row["words"])
            place = (base + row["start"], base + row["end"])
            utterances.append(Utterance(row["id"], row["voice"], row["kind"], row["split"], *place, words))
        sounds.append(torch.from_numpy(sound))
        base += len(sound)
    return Corpus(torch.cat(sounds).to(device), tuple(utterances))


@dataclass(frozen=True)
class Lips:
    """pictures: uint8 [n, 112, 112] grey at 25 per second.  clips: name -> (first picture, count)."""

    pictures: Tensor
    clips: dict[str, tuple[int, int]]


def load_lips(folders: Iterable[Path], device: torch.device) -> Lips:
    """Reads every NAME.mp4 of the folders, as ``lips.py`` wrote them."""
    paths = [path for folder in folders for path in sorted(folder.glob("*.mp4"))]
    if not paths:
        raise UserError("no lips; make them with `python -m engines.speech.lips CLIPS OUT`")
    with ThreadPoolExecutor() as pool:
        crops = list(pool.map(read_crops, paths))
    firsts = np.cumsum([0, *(len(clip) for clip in crops)]).tolist()
    clips = {path.stem: (first, len(clip)) for path, first, clip in zip(paths, firsts, crops, strict=False)}
    return Lips(torch.from_numpy(np.concatenate(crops)).to(device), clips)
