"""Canvases for training: what is on them, and who is kept out with what was made of him."""

import json

import numpy as np
import pytest
import soundfile
import torch

from engines.speech.batches import PairBatches, SoundBatches
from engines.speech.canvas import FRAME, FRAME_SECONDS
from engines.speech.conditions import open_bench
from engines.speech.corpus import write_opus
from engines.speech.dataset import Corpus, Lips, Utterance
from engines.speech.features import SAMPLE_RATE


def made_corpus(seed=1):
    """Five voices, each of whose words is a tone of its own pitch, so that a canvas tells what was placed."""
    rng = np.random.default_rng(seed)
    sound, utterances = [np.zeros(100, np.int16)], []
    for number in range(40):
        durations = rng.uniform(0.2, 0.5, int(rng.integers(1, 6)))
        ends = 0.1 + np.cumsum(durations + 0.05)
        seconds = float(ends[-1]) + 0.2
        words = tuple(
            (int(rng.integers(1, 52)), float(end - d), float(end))
            for end, d in zip(ends, durations, strict=True)
        )
        piece = np.zeros(round(seconds * SAMPLE_RATE), np.int16)
        for token, start, end in words:
            at = np.arange(round(start * SAMPLE_RATE), round(end * SAMPLE_RATE))
            piece[at] = 8000 * np.sin(2 * np.pi * (200 + 20 * token) * at / SAMPLE_RATE)
        begin = sum(map(len, sound))
        utterances.append(
            Utterance(f"u{number}", f"v{number % 5}", "made", "train", begin, begin + len(piece), words)
        )
        sound.append(piece)
    return Corpus(torch.from_numpy(np.concatenate([*sound, np.zeros(100, np.int16)])), tuple(utterances))


def assert_labels_go_with_the_sound(sound, labels):
    level = sound.reshape(len(sound), -1, FRAME).square().mean(-1).sqrt()
    assert level[labels.voice == 1].mean() > 20 * level[labels.voice == 0].mean()
    said = labels.frames > 0  # a word's frames reach one past its end
    assert (level[said] > 0.005).float().mean() > 0.85, "words are expected where nothing sounds"


def test_a_canvas_holds_several_utterances_with_pauses_and_labels_where_they_sound():
    batches = SoundBatches(made_corpus(), {"made": 1.0}, 12, 288, 3)
    sound, speaking, labels = batches.at(7)
    assert sound.shape == speaking.shape == (12, 288 * FRAME)
    assert_labels_go_with_the_sound(sound, labels)
    starts = ((speaking[:, 1:] > 0) & (speaking[:, :-1] == 0)).sum(1)
    assert starts.min() >= 1
    assert starts.max() >= 3
    assert all(
        torch.equal(one, other) for one, other in zip(batches.at(7)[:2], (sound, speaking), strict=True)
    )


@pytest.mark.parametrize("cut", [{"alone": 1.0}, {"trimmed": 1.0}])
def test_labels_go_with_the_sound_of_what_is_cut(cut):
    sound, _, labels = SoundBatches(made_corpus(), {"made": 1.0}, 12, 288, 3, **cut).at(7)
    assert_labels_go_with_the_sound(sound, labels)


def test_lips_go_with_the_words_of_every_sentence_on_a_canvas():
    corpus = made_corpus()
    clips, pictures, first = {}, [], 0
    for utterance in corpus.utterances:
        count = int(utterance.seconds / FRAME_SECONDS) + 1
        shown = np.zeros(count, np.uint8)
        for token, start, end in utterance.words:
            shown[round(start / FRAME_SECONDS) : round(end / FRAME_SECONDS)] = token
        pictures.append(np.broadcast_to(shown[:, None, None], (count, 4, 4)))
        clips[utterance.id] = (first, count)
        first += count
    lips = Lips(torch.from_numpy(np.concatenate(pictures)), clips)
    batches = PairBatches(corpus, lips, ("made",), 8, 240, 3)
    sound, shown, present, labels = batches.at(5)
    assert sound.shape == (8, 240 * FRAME)
    assert shown.shape == (8, 240, 4, 4)
    assert_labels_go_with_the_sound(sound, labels)
    assert labels.lengths.float().mean() > 6
    said = labels.frames > 0
    # A word's frames reach one past its end.
    right = (shown[:, :, 0, 0] == labels.frames) | (shown.roll(1, 1)[:, :, 0, 0] == labels.frames)
    right |= shown.roll(2, 1)[:, :, 0, 0] == labels.frames
    assert right[said].float().mean() > 0.97
    assert 0.8 < present.mean() < 1.0


def test_a_speaker_is_kept_out_with_all_that_was_made_of_him(tmp_path):
    rng = np.random.default_rng(1)
    write_opus(tmp_path / "a.opus", rng.normal(0, 0.1, 3 * SAMPLE_RATE).astype(np.float32))
    lines = [
        {
            "id": str(i),
            "voice": voice,
            "kind": "fsdd",
            "split": "train",
            "start": i * 8000,
            "end": i * 8000 + 7000,
        }
        for i, voice in enumerate(("fsdd/jackson", "fsdd/jackson+world", "fsdd/george+world"))
    ]
    (tmp_path / "a.jsonl").write_text(
        "".join(json.dumps({**line, "words": [["five", 0.1, 0.4]]}) + "\n" for line in lines)
    )
    data = tmp_path / "data"
    for folder in ("noise", "rir"):
        (data / folder).mkdir(parents=True)
    soundfile.write(data / "noise" / "n.wav", rng.normal(0, 0.1, SAMPLE_RATE), SAMPLE_RATE)
    bench = open_bench(tmp_path, [], data, ["fsdd/jackson"], 1, torch.device("cpu"))
    assert [u.split for u in bench.corpus.utterances] == ["test", "test", "train"]
