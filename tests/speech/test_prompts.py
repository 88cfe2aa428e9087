"""Letters and digits recorded by people, out of Debian packages."""

import numpy as np
import pytest
import torch

from engines.speech import corpus, prompts
from engines.speech.dataset import load_corpus
from engines.speech.shards import Shard
from engines.speech.vocabulary import DIGITS, WORDS
from engines.speech.voices import RATE
from nodes.runtime.errors import UserError

needs_prompts = pytest.mark.skipif(
    set(prompts.installed()) != set(prompts.VOICES), reason=f"apt-get install {prompts.DEBIAN}"
)


@needs_prompts
@pytest.mark.parametrize("voice", prompts.VOICES)
def test_every_recording_is_one_word_with_a_little_quiet_around_it(voice):
    recorded = dict(prompts.words_of(voice))
    assert set(recorded) <= set(WORDS)
    assert len(recorded) == len(prompts.words_of(voice)) >= 10
    for word, speech in recorded.items():
        ((text, start, end),) = speech.words
        assert text == word
        assert 0.15 < end - start < 0.8, (voice, word, end - start)
        assert start <= 0.11
        assert len(speech.samples) / RATE - end <= 0.11
        assert corpus.defect(speech) is None, (voice, word)
    if voice in ("allison", "dawson"):
        assert set(DIGITS) <= set(recorded)


@needs_prompts
def test_other_prompts_are_speech_without_words():
    others = [speech for voice in prompts.VOICES for speech in prompts.others_of(voice)]
    assert len(others) > 50
    assert all(not speech.words and 0.3 < len(speech.samples) / RATE < 3 for speech in others)


def test_the_word_is_found_between_a_click_and_the_hiss_of_the_room():
    rng = np.random.default_rng(0)
    sound = rng.normal(0, 0.002, 2 * RATE).astype(np.float32)
    sound[1000:1040] += 0.2
    word = slice(RATE, RATE + RATE // 2)
    sound[word] += 0.3 * np.sin(np.arange(RATE // 2) * 0.1).astype(np.float32)
    start, end = prompts._spoken(sound)
    assert start == pytest.approx(1.0, abs=0.02)
    assert end == pytest.approx(1.5, abs=0.02)


@needs_prompts
def test_they_become_shards_of_three_kinds_and_the_same_every_time(tmp_path):
    def make(folder):
        folder.mkdir()
        for kind in ("prompts", "prompts_strings"):
            corpus.write_shard(Shard(kind, 0, 5, "dawson"), folder, seed=0)
        return load_corpus(folder, torch.device("cpu"))

    one, other = make(tmp_path / "one"), make(tmp_path / "other")
    assert {u.kind for u in one.utterances} == {"prompts", "other_prompts", "prompts_strings"}
    assert {u.voice.removesuffix("+world") for u in one.utterances} == {"prompts/dawson"}
    assert one.utterances == other.utterances
    assert (one.sound == other.sound).all()


def test_a_voice_that_is_not_installed_is_one_clear_line(monkeypatch, tmp_path):
    monkeypatch.setattr(prompts, "SHARE", tmp_path)
    assert prompts.installed() == []
    with pytest.raises(UserError, match=r"prompts of dawson not found .* apt-get install .*saytime"):
        prompts.words_of("dawson")
