"""What networks are scored by: clips one after another, with their words and their lips in place."""

import numpy as np
import torch

from engines.speech.canvas import FRAME
from engines.speech.dataset import Corpus, Lips, Utterance
from engines.speech.validate import SENTENCES, talks_of

LEAD = 5


def made(lengths):
    """A clip of each length in frames: its sound is its number + 1 everywhere, its pictures count up."""
    sound, utterances, clips, first = [], [], {}, 0
    for i, length in enumerate(lengths):
        at = sum(map(len, sound))
        sound.append(np.full(length * FRAME - 100, i + 1, np.int16))
        utterances.append(
            Utterance(f"u{i}", "v", "grid", "validation", at, at + len(sound[-1]), ((i + 1, 0.1, 0.2),))
        )
        clips[f"u{i}"] = (first, length)
        first += length
    pictures = torch.arange(first, dtype=torch.uint8)[:, None, None].expand(first, 88, 88)
    return Corpus(torch.from_numpy(np.concatenate(sound)), tuple(utterances)), Lips(pictures, clips)


def test_clips_follow_each_other_with_silence_between_and_their_lips_with_them():
    corpus, lips = made([20, 30, 25, 40])
    talks = talks_of(corpus, corpus.utterances, LEAD, lips)
    assert len(talks.sound) == 2, f"four clips are two streams of {SENTENCES} at most"
    assert [len(words) for words in talks.texts] == [3, 1]
    level = (talks.sound * 32768).round().int()
    for number, (row, begin) in enumerate(((0, 5), (0, 30), (0, 65), (1, 5))):
        clip = corpus.utterances[number]
        inside = slice(begin * FRAME, begin * FRAME + clip.end - clip.start)
        assert torch.all(level[row, inside] == number + 1)
        assert torch.all(talks.speaking[row, inside] == 1)
        first, count = lips.clips[clip.id]
        shown = talks.mouths[row, begin : begin + count, 0, 0].tolist()
        assert shown == list(range(first, first + count))
    assert level[0].count_nonzero() == sum(u.end - u.start for u in corpus.utterances[:3])
    assert talks.mouths.shape[1] * FRAME == talks.sound.shape[1]
    assert talks.mouths.shape[1] % 4 == 0
    assert torch.all(talks.present == 1)


def test_without_lips_a_clip_takes_as_long_as_it_sounds():
    corpus, _ = made([8, 8])
    talks = talks_of(corpus, corpus.utterances, LEAD)
    assert talks.mouths is None
    assert talks.sound.shape[1] == 32 * FRAME  # 5 + 8 + 5 + 8 + 5, in whole chunks
