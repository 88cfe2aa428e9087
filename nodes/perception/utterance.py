"""Frames with voice and words in, the news of each stretch of speech out: begun, changed, and completed once.

What may follow what, for each segment:

1. Nothing is said of it before it has a word.
2. The first news is a partial of revision 0; revisions count up by one.
3. A partial comes only when the text differs from that of the one before.
4. Exactly one final ends it, always after a partial, with the next revision; nothing of it follows.
5. Segments count up by one and do not overlap: the next one's partial comes after this one's final.

Partials go by what is known when they come.  Where lips turn out to have had too much of a say in them, or
too little (see ``hindsight``), the words for good are told anew: they may be others than those of the last
partial, or none.
"""

from collections import deque
from itertools import groupby, zip_longest
from typing import NamedTuple

import numpy as np

from engines.speech.decode import Decoder
from nodes.perception.hindsight import Choice, trusted
from nodes.perception.segmenter import Segmenter, Turn
from nodes.runtime.messages import Word

# Words are spotted up to so many frames before the voice is: they are kept and heard when speech begins.
PRE_ROLL = 8
# Lips that are trusted in the end may have told a word before that, when no voice was heard yet.
LIPS_PRE_ROLL = 25
# 30 s: a segment that goes on is ended there and the next one begins, so nothing grows.
MAX_FRAMES = 750


class News(NamedTuple):
    """What is known of one segment.

    t_start_ns: where its speech began.  t_end_ns: of a partial how far it has been heard, of a final where
    the speech ended.
    """

    segment: int
    revision: int
    final: bool
    words: list[Word]
    t_start_ns: int
    t_end_ns: int

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


class Frame(NamedTuple):
    """voice: probability of speech.  log_probs: float32 [V], or None where nothing is heard or seen.

    heard_by: "a", "v", "av", or "" with no log_probs.  temperature: of the model they come from.
    choice: between sound alone and both, where there is one.
    """

    t_start_ns: int
    t_end_ns: int
    voice: float
    log_probs: np.ndarray | None
    heard_by: str
    temperature: float
    choice: Choice | None = None


class Utterances:
    """``hear`` the frames of a chunk, ``flush`` where the stream is cut."""

    def __init__(self, decoder: Decoder, segmenter: Segmenter) -> None:
        self._decoder, self._segmenter = decoder, segmenter
        self._before: deque[Frame] = deque(maxlen=LIPS_PRE_ROLL)
        self._early: list[Frame] = []  # before the segment, and too early for the sound to be believed
        self._told: list[Frame] = []  # of the segment, what the decoder has been given
        self._waiting: list[Frame] = []
        self._words: list[Word] = []
        self._segment = self._frames = self._revision = 0
        self._begin(0)

    @property
    def speaking(self) -> bool:
        return self._segmenter.speaking

    def hear(self, frames: list[Frame]) -> list[News]:
        """What is new after ``frames``, which follow those heard before without a hole."""
        news: list[News] = []
        for frame in frames:
            turn = self._segmenter.push(frame.voice)
            if turn is Turn.STARTED:
                onset = [*self._before, frame][-self._segmenter.min_frames :]
                before = list(self._before)
                self._begin(onset[0].t_start_ns)
                self._early, self._waiting = before[:-PRE_ROLL], before[-PRE_ROLL:]
            if not (self.speaking or turn is Turn.ENDED):
                self._before.append(frame)
                continue
            self._waiting.append(frame)
            self._frames += 1
            if frame.voice >= self._segmenter.offset:
                self._voice_end_ns = frame.t_end_ns
            if turn is Turn.ENDED or self._frames == MAX_FRAMES:
                news += self._complete()
                self._begin(frame.t_end_ns)
        if self._waiting:
            self._decode()
            if self._words and frames:
                news += self._partial(frames[-1].t_end_ns)
        return news

    def flush(self) -> list[News]:
        """The stream is cut here: the segment that is open is completed, what follows starts from nothing."""
        news = self._complete() if self.speaking else []
        self._segmenter.reset()
        self._begin(0)
        return news

    def _begin(self, start_ns: int) -> None:
        self._decoder.reset()
        self._start_ns = self._voice_end_ns = start_ns
        self._frames = self._revision = 0
        self._sent: str | None = None
        self._words = []
        self._waiting, self._early, self._told = [], [], []
        self._before.clear()

    def _decode(self) -> None:
        for (heard_by, temperature), group in groupby(self._waiting, lambda f: (f.heard_by, f.temperature)):
            frames = [frame for frame in group if frame.log_probs is not None]
            if frames:
                times = [*(frame.t_start_ns for frame in frames), frames[-1].t_end_ns]
                log_probs = np.stack([frame.log_probs for frame in frames if frame.log_probs is not None])
                self._words = self._decoder.push(log_probs, times, heard_by, temperature)
        self._told += self._waiting
        self._waiting.clear()

    def _reconsider(self) -> None:
        """Decodes the segment anew where what is known now makes a difference."""
        frames = [*self._early, *self._told]
        lips = trusted([frame.choice for frame in frames])
        first = len(self._early)
        while first > 0 and lips[first - 1]:
            first -= 1
        anew = [_by(frame, trust) for frame, trust in zip(frames[first:], lips[first:], strict=True)]
        if any(ours is not before for ours, before in zip_longest(anew, self._told)):
            self._decoder.reset()
            self._waiting = anew
            self._decode()

    def _partial(self, end_ns: int) -> list[News]:
        news = self._news(False, end_ns)
        if news.text == self._sent:
            return []
        self._sent = news.text
        self._revision += 1
        return [news]

    def _complete(self) -> list[News]:
        self._decode()
        self._reconsider()
        self._words = self._decoder.finish()
        if self._sent is None and not self._words:
            return []
        end = max([self._voice_end_ns, *(word.t_end_ns for word in self._words)])
        news = self._partial(end) if self._sent is None else []
        news.append(self._news(True, end))
        self._segment += 1
        return news

    def _news(self, final: bool, end_ns: int) -> News:
        start = min([self._start_ns, *(word.t_start_ns for word in self._words)])
        return News(self._segment, self._revision, final, self._words, start, end_ns)


def _by(frame: Frame, lips: bool) -> Frame:
    """The frame as both tell it, or as sound alone does; itself where it was told so or has no choice."""
    if frame.choice is None or frame.choice.gate == float(lips):
        return frame
    say = frame.choice.both if lips else frame.choice.sound
    return frame._replace(log_probs=say.log_probs, heard_by=say.heard_by, temperature=say.temperature)
