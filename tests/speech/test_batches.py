"""Canvases for training: clips cut close to their words, and who is kept out with what was made of him."""

import json

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from engines.speech.batches import CLOSE, cut_close
from engines.speech.conditions import open_bench
from engines.speech.corpus import write_opus
from engines.speech.dataset import Utterance
from engines.speech.features import SAMPLE_RATE


@given(
    st.lists(st.floats(0.06, 0.9), min_size=1, max_size=6),
    st.floats(0.0, 0.6),
    st.floats(0.0, 0.6),
    st.integers(0, 2**32 - 1),
)
def test_a_clip_cut_close_keeps_its_words_in_place_and_little_else(durations, lead, tail, seed):
    ends = lead + np.cumsum(durations)
    words = tuple(
        (i + 1, float(e - d), float(e)) for i, (e, d) in enumerate(zip(ends, durations, strict=True))
    )
    whole = Utterance("u", "v", "k", "train", 1000, 1000 + round((ends[-1] + tail) * SAMPLE_RATE), words)
    cut = cut_close(whole, np.random.default_rng(seed))
    assert whole.start <= cut.start < cut.end <= whole.end
    assert [w for w, _, _ in cut.words] == [w for w, _, _ in whole.words]
    moved = (cut.start - whole.start) / SAMPLE_RATE
    for (_, start, end), (_, was_start, was_end) in zip(cut.words, whole.words, strict=True):
        assert 0 <= start < end <= cut.seconds + 1e-3
        assert start + moved == pytest.approx(was_start, abs=max(CLOSE) - min(CLOSE))
        assert end + moved == pytest.approx(was_end, abs=max(CLOSE) - min(CLOSE))
    assert cut.words[0][1] <= max(CLOSE) + 1e-3
    assert cut.seconds - cut.words[-1][2] <= max(CLOSE) + 1e-3


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
