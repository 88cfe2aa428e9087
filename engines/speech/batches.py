"""Training batches: which utterances a canvas holds, drawn from the corpus, with lips or without."""

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from engines.speech.canvas import FRAME, FRAME_SECONDS, Labels, Placed, Timed, label, lay
from engines.speech.cuts import cut_alone, cut_close, cut_to, levels, trim
from engines.speech.dataset import Corpus, Lips, Utterance
from engines.speech.features import SAMPLE_RATE
from nodes.runtime.errors import UserError

CLOSE_SHARE = 0.25
SLOWEST, FASTEST = 0.82, 1.25  # how many times as fast a voice is played, pitch and formants with it
MOST = 8  # utterances on a canvas
LEAD = 4.0  # seconds before the first at most
BETWEEN = (0.05, 4.0)  # seconds of pause, as often around 0.1 as around 2
ONE_VOICE = 0.5  # share of the canvases on which one voice says everything
AWAY = 0.3  # how often lips are lost around a pause


class SoundBatches:
    """Random canvases of several utterances with pauses between them, as microphones hear them.

    What a network carries over a pause, or in noise over many seconds, it can only learn where there is one.
    """

    def __init__(
        self,
        corpus: Corpus,
        shares: dict[str, float],
        batch: int,
        frames: int,
        seed: int,
        alone: float = 0.0,
        trimmed: float = 0.0,
    ) -> None:
        """shares: how often each kind is drawn; kinds the corpus lacks are left out.  alone: the share of the
        utterances of which one word is left.  trimmed: the share whose quiet ends are cut off."""
        self.corpus, self.batch, self.frames = corpus, batch, frames
        self.alone, self.trimmed = alone, trimmed
        self._levels = levels(corpus.sound) if trimmed else np.zeros(0, np.float32)
        self.seed = seed
        self.seconds = frames * FRAME_SECONDS
        pool = [
            u
            for u in corpus.utterances
            if u.split == "train"
            and u.kind in shares
            and (not u.words or u.seconds < self.seconds * SLOWEST - 0.02)
        ]
        kinds: dict[str, list[Utterance]] = {}
        self._by_voice: dict[str, list[Utterance]] = {}
        for utterance in pool:
            kinds.setdefault(utterance.kind, []).append(utterance)
            self._by_voice.setdefault(utterance.voice, []).append(utterance)
        self._pools = list(kinds.values())
        weights = np.array([shares[kind] for kind in kinds])
        self._upto = np.cumsum(weights / weights.sum())
        self._short = sorted((u for u in pool if u.words and u.seconds < 1.6), key=lambda u: u.seconds)
        self._short_seconds = np.array([u.seconds for u in self._short])

    def at(self, step: int) -> tuple[Tensor, Tensor, Labels]:
        """sound [B, N], speaking [B, N] (1 inside an utterance), labels; the same for the same step."""
        rng = np.random.default_rng([self.seed, step])
        rows = [self._row(row, rng) for row in range(self.batch)]
        placed = [each for row in rows for each in row]
        sound, speaking = lay(self.corpus.sound, placed, self.batch, self.frames * FRAME)
        timelines = [[word for each in row for word in each.words] for row in rows]
        unknown = [[(each.begin, each.end) for each in row if not each.utterance.words] for row in rows]
        return sound, speaking, label(timelines, unknown, self.frames, self.corpus.sound.device)

    def _row(self, row: int, rng: np.random.Generator) -> list[Placed]:
        """As many utterances as have room, of one voice or of several."""
        first = self._any(rng)
        one_voice = rng.random() < ONE_VOICE
        gain_db = float(rng.uniform(-6, 6))
        begin = float(rng.uniform(0, 1.2 if rng.random() < 0.6 else LEAD))
        placed: list[Placed] = []
        while len(placed) < MOST:
            if not placed:
                utterance = first
            elif one_voice:
                pool = self._by_voice[first.voice]
                utterance = pool[int(rng.integers(len(pool)))]
            else:
                utterance = self._any(rng)
            if self.alone and rng.random() < self.alone:
                utterance = cut_alone(utterance, rng)
            if rng.random() < CLOSE_SHARE:
                utterance = cut_close(utterance, rng)
            if self.trimmed and rng.random() < self.trimmed:
                utterance = trim(utterance, self._levels, rng)
            speed = float(rng.uniform(SLOWEST, FASTEST))
            if begin + utterance.seconds / speed > self.seconds:
                fitting = int(np.searchsorted(self._short_seconds, (self.seconds - begin) * SLOWEST))
                if placed and not fitting:
                    break
                if placed:
                    utterance = self._short[int(rng.integers(fitting))]
                else:
                    begin = max(0.0, self.seconds - utterance.seconds / speed) * float(rng.random())
            gain = 10 ** ((gain_db + float(rng.uniform(-3, 3))) / 20)
            placed.append(Placed(row, utterance, begin, speed, gain))
            begin = placed[-1].end + float(np.exp(rng.uniform(*np.log(BETWEEN))))
        return placed

    def _any(self, rng: np.random.Generator) -> Utterance:
        pool = self._pools[min(int(np.searchsorted(self._upto, rng.random())), len(self._pools) - 1)]
        return pool[int(rng.integers(len(pool)))]


class PairBatches:
    """Clips with their lips, several on a canvas, with pauses in which the lips go on, or are lost."""

    def __init__(
        self, corpus: Corpus, lips: Lips, kinds: Sequence[str], batch: int, frames: int, seed: int
    ) -> None:
        self.corpus, self.lips, self.batch, self.frames = corpus, lips, batch, frames
        self.seed = seed
        self.seconds = frames * FRAME_SECONDS
        self._clips = [u for u in corpus.select("train", kinds) if u.id in lips.clips and u.words]
        if not self._clips:
            raise UserError("no clip of the corpus has lips; build both from the same clips")

    def at(self, step: int) -> tuple[Tensor, Tensor, Tensor, Labels]:
        """sound [B, N], pictures uint8 [B,T,S,S], present [B,T] (0 where lips are lost), labels."""
        rng, device = np.random.default_rng([self.seed, step]), self.corpus.sound.device
        index = np.zeros((self.batch, self.frames), np.int64)
        present = np.ones((self.batch, self.frames), np.float32)
        placed: list[Placed] = []
        timelines: list[Timed] = []
        for row in range(self.batch):
            talk = self._talk(row, rng)
            borders = [
                0,
                *(_border(one[0], other[0]) for one, other in itertools.pairwise(talk)),
                self.frames,
            ]
            for i, (each, clip) in enumerate(talk):
                index[row, borders[i] : borders[i + 1]] = self._seen(each, clip, borders[i], borders[i + 1])
                if i and rng.random() < AWAY:
                    present[row, borders[i] - rng.integers(1, 10) : borders[i] + rng.integers(1, 10)] = 0
            placed += [each for each, _ in talk]
            timelines.append([word for each, _ in talk for word in each.words])
        sound, _ = lay(self.corpus.sound, placed, self.batch, self.frames * FRAME)
        labels = label(timelines, [[]] * self.batch, self.frames, device)
        pictures = self.lips.pictures[torch.from_numpy(index).to(device)]
        return sound, pictures, torch.from_numpy(present).to(device), labels

    def _talk(self, row: int, rng: np.random.Generator) -> list[tuple[Placed, Utterance]]:
        """Sentences, each cut somewhere before and after its words, with the clip it was cut from."""
        talk: list[tuple[Placed, Utterance]] = []
        begin = float(rng.uniform(0.0, 1.0))
        while True:
            clip = self._clips[int(rng.integers(len(self._clips)))]
            speed = float(rng.uniform(0.87, 1.15))
            cut = cut_to(
                clip,
                float(rng.uniform(0, clip.words[0][1])),
                float(rng.uniform(min(clip.words[-1][2], clip.seconds), clip.seconds)),
            )
            each = Placed(row, cut, begin, speed)
            if talk and each.end > self.seconds:
                return talk
            talk.append((each, clip))
            begin = each.end + float(np.exp(rng.uniform(*np.log(BETWEEN))))

    def _seen(self, each: Placed, clip: Utterance, begin: int, end: int) -> np.ndarray:
        """Which pictures are shown in the frames begin to end: before and after its words the lips at rest.

        What the clip has of those is shown to and fro for as long as it takes.
        """
        first, count = self.lips.clips[clip.id]
        cut = (each.utterance.start - clip.start) / SAMPLE_RATE
        at = ((np.arange(begin, end) * FRAME_SECONDS - each.begin) * each.speed + cut) / FRAME_SECONDS
        lead = max(2.0, clip.words[0][1] / FRAME_SECONDS - 2)
        tail = min(count - 2.0, clip.words[-1][2] / FRAME_SECONDS + 3)
        at = np.where(at < 0, _fro(-at, lead), at)
        at = np.where(at > count - 1, count - 1 - _fro(at - count + 1, count - 1 - tail), at)
        return first + np.round(at).astype(np.int64).clip(0, count - 1)  # type: ignore[no-any-return]


def _border(one: Placed, other: Placed) -> int:
    """The frame in the middle of the pause between two."""
    return round((one.end + other.begin) / 2 / FRAME_SECONDS)


def _fro(way: np.ndarray, length: float) -> np.ndarray:
    """How far from its start one is who goes to and fro on a stretch of that length."""
    return length - np.abs(way % (2 * length) - length)  # type: ignore[no-any-return]
