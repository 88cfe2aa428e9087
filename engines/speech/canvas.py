"""Canvases of training: utterances placed on sound of fixed length, and the labels that follow from their
words' times.

Labels come three ways: the words in order (for CTC), a word for each frame where that is certain, and
whether somebody
speaks.  Frame labels exist because word-level CTC from scratch stays at the grammar's own entropy for long;
a word's
frames are those of its second half and one more, before which a causal model cannot know it.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engines.speech.dataset import Utterance
from engines.speech.features import SAMPLE_RATE
from engines.speech.model import CHUNK
from engines.speech.vocabulary import BLANK

FRAME = 640  # samples
FRAME_SECONDS = FRAME / SAMPLE_RATE
UNSURE = -1
PAUSE = 0.3  # seconds; shorter pauses between words still count as speaking

Timed = list[tuple[int, float, float]]


@dataclass(frozen=True)
class Labels:
    """tokens int64 [B, L] padded with 0, lengths int64 [B], frames int64 [B, T] and voice float32 [B, T];
    -1 = unsure."""

    tokens: Tensor
    lengths: Tensor
    frames: Tensor
    voice: Tensor


def label(
    timelines: list[Timed], unknown: list[list[tuple[float, float]]], frames: int, device: torch.device
) -> Labels:
    """timelines: words with seconds on the canvas.  unknown: stretches of speech whose words are not ours."""
    b = len(timelines)
    by_frame = np.full((b, frames), BLANK, np.int64)
    voice = np.zeros((b, frames), np.float32)

    def span(start: float, end: float) -> slice:
        return slice(max(0, round(start / FRAME_SECONDS)), max(0, round(end / FRAME_SECONDS)))

    for i, words in enumerate(timelines):
        for before, after in itertools.pairwise(words):
            if 0 < after[1] - before[2] < PAUSE:
                voice[i, span(before[2], after[1])] = 1
        for _, start, end in words:
            by_frame[i, span(start - 0.04, end + 0.12)] = UNSURE
            voice[i, span(start - 0.04, end + 0.08)] = np.where(
                voice[i, span(start - 0.04, end + 0.08)] == 1, 1, UNSURE
            )
        for token, start, end in words:
            by_frame[i, span((start + end) / 2, end + FRAME_SECONDS)] = token
            voice[i, span(start, end)] = 1
        for start, end in unknown[i]:
            voice[i, span(start - 0.1, end + 0.1)] = UNSURE
            voice[i, span(start + 0.2, end - 0.2)] = 1
    longest = max(1, max(len(words) for words in timelines))
    tokens = np.zeros((b, longest), np.int64)
    for i, words in enumerate(timelines):
        tokens[i, : len(words)] = [token for token, _, _ in words]
    lengths = np.array([len(words) for words in timelines], np.int64)
    return Labels(*(torch.from_numpy(x).to(device) for x in (tokens, lengths, by_frame, voice)))


def place(
    sound: Tensor, start: Tensor, length: Tensor, speed: Tensor, offset: Tensor, samples: int
) -> Tensor:
    """Stretches of ``sound`` (int16 [n]) on canvases float32 [B, samples]; all [B].

    Played ``speed`` times as fast, pitch and formants with it, by Catmull-Rom interpolation; ``offset`` in
    samples.
    """
    at = (torch.arange(samples, device=sound.device)[None] - offset[:, None]) * speed[:, None]
    inside = (at >= 1) & (at < length[:, None] - 3)
    whole = at.floor().clamp(min=1)
    x = at - whole
    index = (start[:, None] + whole.long()).clamp(1, len(sound) - 3)
    index = torch.where(inside, index, torch.ones_like(index))
    p0, p1, p2, p3 = (sound[index + k].float() for k in (-1, 0, 1, 2))
    y = p1 + 0.5 * x * (p2 - p0 + x * (2 * p0 - 5 * p1 + 4 * p2 - p3 + x * (3 * (p1 - p2) + p3 - p0)))
    return torch.where(inside, y, torch.zeros_like(y)) / 32768.0


@dataclass(frozen=True)
class Placed:
    """An utterance on a canvas: which canvas, where on it in seconds, how many times as fast, how loud."""

    row: int
    utterance: Utterance
    begin: float
    speed: float
    gain: float = 1.0

    @property
    def end(self) -> float:
        return self.begin + self.utterance.seconds / self.speed

    @property
    def words(self) -> Timed:
        at, speed = self.begin, self.speed
        return [(word, at + start / speed, at + end / speed) for word, start, end in self.utterance.words]


def lay(sound: Tensor, placed: Sequence[Placed], rows: int, samples: int) -> tuple[Tensor, Tensor]:
    """Canvases float32 [rows, samples] of the corpus' ``sound``, each utterance at a level of 0.05 times its
    gain, and where they are (1 inside an utterance)."""
    columns = np.array(
        [
            (u.utterance.start, u.utterance.end - u.utterance.start, u.speed, u.gain, u.row, u.begin)
            for u in placed
        ]
    )
    start, length, speed, gain, row, begin = torch.from_numpy(columns).to(sound.device).unbind(1)
    longest = int((columns[:, 1] / columns[:, 2]).max()) + 2
    pieces = place(sound, start.long(), length, speed.float(), torch.zeros_like(speed).float(), longest)
    power = pieces.square().sum(1, keepdim=True) / (length / speed)[:, None].clamp(min=1)
    pieces = pieces / power.sqrt().clamp(min=1e-4).float() * (gain[:, None] * 0.05).float()
    at = torch.arange(longest, device=sound.device)[None]
    inside = (at < (length / speed)[:, None]).float()
    index = (row.long() * samples + (begin * SAMPLE_RATE).long())[:, None] + at
    # One canvas more, for what is placed past the end of the last.
    canvas = torch.zeros(2, rows * samples + longest, device=sound.device)
    canvas[0].index_add_(0, index.flatten(), pieces.flatten())
    canvas[1].index_add_(0, index.flatten(), inside.flatten())
    whole = canvas[:, : rows * samples].reshape(2, rows, samples)
    return whole[0], whole[1].clamp(max=1)


def whole_chunks(frames: int) -> int:
    """The next multiple of CHUNK."""
    return -(-frames // CHUNK) * CHUNK
