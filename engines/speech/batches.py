"""Training batches: utterances placed on canvases of fixed length, with the labels that follow from their
words' times.

Labels come three ways: the words in order (for CTC), a word for each frame where that is certain, and
whether somebody
speaks.  Frame labels exist because word-level CTC from scratch stays at the grammar's own entropy for long;
a word's
frames are those of its second half and one more, before which a causal model cannot know it.
"""

import itertools
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from engines.speech.dataset import Corpus, Lips, Utterance
from engines.speech.features import SAMPLE_RATE
from engines.speech.model import CHUNK
from engines.speech.vocabulary import BLANK
from nodes.runtime.errors import UserError

FRAME = 640  # samples
FRAME_SECONDS = FRAME / SAMPLE_RATE
UNSURE = -1
PAUSE = 0.3  # seconds; shorter pauses between words still count as speaking
CLOSE = (0.05, -0.03)  # seconds left before the first word and after the last where a clip is cut close
CLOSE_SHARE = 0.25
SLOWEST, FASTEST = 0.82, 1.25  # how many times as fast a voice is played, pitch and formants with it

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
    timelines: list[Timed], unknown: list[tuple[float, float] | None], frames: int, device: torch.device
) -> Labels:
    """timelines: words with seconds on the canvas.  unknown: a stretch of speech whose words are not ours,
    if any."""
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
        stretch = unknown[i]
        if stretch is not None:
            voice[i, span(stretch[0] - 0.1, stretch[1] + 0.1)] = UNSURE
            voice[i, span(stretch[0] + 0.2, stretch[1] - 0.2)] = 1
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


def cut_close(utterance: Utterance, rng: np.random.Generator) -> Utterance:
    """Its words and nearly nothing around them, or a little less: as recordings are that a program cut."""
    if not utterance.words:
        return utterance
    first, last = utterance.words[0][1], utterance.words[-1][2]
    before, after = rng.uniform(min(CLOSE), max(CLOSE), 2)
    start, end = max(0.0, first - before), min(utterance.seconds, last + after)
    words = tuple((w, max(t0 - start, 0.0), min(t1, end) - start) for w, t0, t1 in utterance.words)
    at = utterance.start
    return replace(
        utterance, start=at + int(start * SAMPLE_RATE), end=at + int(end * SAMPLE_RATE), words=words
    )


class SoundBatches:
    """Random canvases with one utterance, often followed by a second short one after a pause."""

    def __init__(self, corpus: Corpus, shares: dict[str, float], batch: int, frames: int, seed: int) -> None:
        """shares: how often a canvas starts with each kind; kinds the corpus lacks are left out."""
        self.corpus, self.batch, self.frames = corpus, batch, frames
        self.seed = seed
        self.seconds = frames * FRAME_SECONDS
        pool = [
            u
            for u in corpus.utterances
            if u.split == "train" and (not u.words or u.seconds < self.seconds * SLOWEST - 0.02)
        ]
        self.by_kind = {kind: [u for u in pool if u.kind == kind] for kind in shares}
        self.by_kind = {kind: found for kind, found in self.by_kind.items() if found}
        weights = np.array([shares[kind] for kind in self.by_kind])
        self.weights = weights / weights.sum()
        self.short = sorted((u for u in pool if u.words and u.seconds < 1.6), key=lambda u: u.seconds)
        self.short_seconds = np.array([u.seconds for u in self.short])

    def at(self, step: int) -> tuple[Tensor, Tensor, Labels]:
        """sound [B, N], speaking [B, N] (1 inside an utterance), labels; the same for the same step."""
        rng, device = np.random.default_rng([self.seed, step]), self.corpus.sound.device
        kinds = list(self.by_kind)
        slots: list[list[tuple[Utterance, float, float]]] = [[], []]
        timelines: list[Timed] = []
        unknown: list[tuple[float, float] | None] = []
        nobody = Utterance("", "", "", "", 0, 0, ())
        for _ in range(self.batch):
            pool = self.by_kind[kinds[rng.choice(len(kinds), p=self.weights)]]
            first = pool[rng.integers(len(pool))]
            if rng.random() < CLOSE_SHARE:
                first = cut_close(first, rng)
            speed = float(rng.uniform(SLOWEST, FASTEST))
            free = self.seconds - first.seconds / speed
            begin = float(rng.uniform(0, max(0.02, min(1.2, free))))
            words = [(w, begin + t0 / speed, begin + t1 / speed) for w, t0, t1 in first.words]
            stretch = None if first.words else (begin, begin + first.seconds / speed)
            second, second_begin, second_speed = nobody, 0.0, 1.0
            end = begin + first.seconds / speed + float(rng.uniform(0.05, 0.6))
            fitting = int(np.searchsorted(self.short_seconds, (self.seconds - end) * SLOWEST))
            if fitting > 0 and rng.random() < 0.6:
                second, second_begin = self.short[rng.integers(fitting)], end
                second_speed = float(rng.uniform(SLOWEST, FASTEST))
                words += [(w, end + t0 / second_speed, end + t1 / second_speed) for w, t0, t1 in second.words]
            slots[0].append((first, begin, speed))
            slots[1].append((second, second_begin, second_speed))
            timelines.append(words)
            unknown.append(stretch)
        n = self.frames * FRAME
        sound, speaking = torch.zeros(self.batch, n, device=device), torch.zeros(self.batch, n, device=device)
        for slot in slots:
            columns = np.array(
                [(u.start, u.end - u.start, speed, begin * SAMPLE_RATE) for u, begin, speed in slot]
            )
            start, length, speeds, offset = torch.from_numpy(columns).to(device).unbind(1)
            piece = place(self.corpus.sound, start.long(), length, speeds.float(), offset.float(), n)
            # Every voice at the same level before the room and the noise; how loud it is comes last.
            piece = (
                piece
                / (piece.square().sum(1, keepdim=True) / length[:, None].clamp(min=1))
                .sqrt()
                .clamp(min=1e-4)
                .float()
            )
            gain = torch.from_numpy(10 ** (rng.uniform(-6, 6, (self.batch, 1)) / 20)).to(device).float()
            sound += piece * gain * 0.05
            at = torch.arange(n, device=device)[None]
            speaking += (
                (at >= offset[:, None]) & (at < offset[:, None] + length[:, None] / speeds[:, None])
            ).float()
        return sound, speaking.clamp(max=1), label(timelines, unknown, self.frames, device)


class PairBatches:
    """Clips with their lips: sound and pictures of the same clip on canvases that start together."""

    def __init__(
        self, corpus: Corpus, lips: Lips, kinds: dict[str, float], batch: int, frames: int, seed: int
    ) -> None:
        self.corpus, self.lips, self.batch, self.frames = corpus, lips, batch, frames
        self.seed = seed
        pools = {k: [u for u in corpus.select("train", [k]) if u.id in lips.clips] for k in kinds}
        self.pools = {k: pool for k, pool in pools.items() if pool}
        if not self.pools:
            raise UserError("no clip of the corpus has lips; build both from the same clips")
        weights = np.array([kinds[k] for k in self.pools])
        self.weights = weights / weights.sum()

    def at(self, step: int) -> tuple[Tensor, Tensor, Tensor, Labels]:
        """sound [B, N], pictures uint8 [B,T,S,S], present [B,T] (0 off the clip), labels."""
        rng, device = np.random.default_rng([self.seed, step]), self.corpus.sound.device
        rows, timelines, index = [], [], np.zeros((self.batch, self.frames), np.int64)
        present = np.zeros((self.batch, self.frames), np.float32)
        kinds = list(self.pools)
        for i in range(self.batch):
            pool = self.pools[kinds[rng.choice(len(kinds), p=self.weights)]]
            clip = pool[rng.integers(len(pool))]
            speed = float(rng.uniform(0.87, 1.15))
            shift = int(
                rng.integers(-6, 7)
            )  # in frames: the canvas may begin inside the clip's leading silence
            begin = shift * FRAME_SECONDS
            first, count = self.lips.clips[clip.id]
            at = np.round((np.arange(self.frames) - shift) * speed).astype(int)
            present[i] = (at >= 0) & (at < count)
            index[i] = first + at.clip(0, count - 1)
            words = [(w, begin + t0 / speed, begin + t1 / speed) for w, t0, t1 in clip.words]
            timelines.append([w for w in words if w[1] > -0.02 and w[2] < self.frames * FRAME_SECONDS - 0.05])
            rows.append((clip.start, clip.end - clip.start, speed, begin * SAMPLE_RATE))
        start, length, speeds, offset = torch.tensor(rows, dtype=torch.float64, device=device).unbind(1)
        n = self.frames * FRAME
        sound = place(self.corpus.sound, start.long(), length, speeds.float(), offset.float(), n)
        labels = label(timelines, [None] * self.batch, self.frames, device)
        pictures = self.lips.pictures[torch.from_numpy(index).to(device)]
        return sound, pictures, torch.from_numpy(present).to(device), labels


def whole_chunks(frames: int) -> int:
    """The next multiple of CHUNK."""
    return -(-frames // CHUNK) * CHUNK
