"""The words expert: text to sub-words, and the shipped engine on sentences anybody understands."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import engines.sentiment
from engines.engine import ModelError, open_engine
from engines.golden import TOLERANCE, golden_error, golden_path
from engines.sentiment.emotions import EMOTIONS, softmax
from engines.sentiment.measures import fitted_caution
from engines.sentiment.words.batches import Degrade
from engines.sentiment.words.corpora import Sentence, meld, split, sst, unmarked
from engines.sentiment.words.grams import ALWAYS, BUCKETS, MOST, NONE, buckets
from engines.sentiment.words.measure import conditions, read
from engines.sentiment.words.reader import Reader
from engines.sentiment.words.subwords import LENGTH, PADDING, SPECIAL, START, UNKNOWN, SubWords, words_of
from nodes.runtime.errors import UserError

DATA = Path(__file__).parents[2] / "../shared/data"
WEIGHTS = Path(engines.sentiment.__file__).parent / "weights"
needs_data = pytest.mark.skipif(not (DATA / "meld").is_dir(), reason="no ../shared/data/meld and sst")


@pytest.fixture(scope="module")
def reader():
    return Reader(WEIGHTS / "words.onnx")


def valence(reader, text, before=""):
    return float(reader.read(words_of(text), words_of(before))["affect"][0, 0])


def test_words_are_the_same_however_a_corpus_writes_them():
    assert words_of("I do n’t KNOW ...") == words_of("i don't know...") == ["i", "don't", "know", "..."]
    assert words_of("What?! No!!") == ["what", "?!", "no", "!"]
    assert unmarked(words_of("What?! No, please.")) == ["what", "no", "please"]


def test_a_word_is_cut_into_the_longest_pieces():
    subwords = SubWords([*SPECIAL, START + "un", "happy", "hap", "py", START])
    assert subwords.pieces("unhappy") == [2, 3]
    assert subwords.pieces("happy") == [6, 3]
    assert subwords.pieces("un?") == [2, UNKNOWN]


@given(st.text(max_size=400))
def test_any_text_becomes_rows_of_the_right_form(text):
    subwords = SubWords([*SPECIAL, START, *"abcdefgh"])
    row, found = subwords.encode(words_of(text)), buckets(words_of(text))
    assert row.shape == (LENGTH,)
    assert found.shape == (MOST,)
    assert 0 <= row.min() <= row.max() < len(subwords.vocabulary)
    assert found[0] == ALWAYS
    there = found[found != NONE]
    assert (np.diff(there) > 0).all()
    assert there.max() < BUCKETS
    assert not (np.diff((row == PADDING).astype(int)) < 0).any(), "padding is behind"


def test_of_a_long_sentence_the_end_is_read():
    subwords = SubWords([*SPECIAL, START + "a", START + "b"])
    row = subwords.encode(["a"] * 100 + ["b"])
    assert row[-1] == 3
    assert (row[:-1] == 2).all()


def test_a_third_of_the_words_is_wrong_when_a_third_shall_be():
    sentence = Sentence(tuple(f"w{i}" for i in range(600)))
    heard = Degrade([Sentence(("other",))], seed=1).wrong(sentence, 1 / 3).words
    right = sum(word != "other" for word in heard)
    assert 340 < right < 460
    assert heard.count("other") == pytest.approx(2 * (600 - len(heard)), rel=0.4)


@needs_data
def test_meld_gives_each_line_with_the_two_before_it_in_the_same_dialogue():
    lines = meld(DATA, "dev")
    whose = [line.dialogue for line in lines]
    start = next(i for i, name in enumerate(whose) if whose[i : i + 4] == [name] * 4 and name != whose[i - 1])
    first, second, third, fourth = lines[start : start + 4]
    assert first.before == ()
    assert second.before == first.words
    assert third.before == first.words + second.words
    assert fourth.before == second.words + third.words
    assert EMOTIONS[lines[0].emotion] == "sad"
    learnt, kept = split(meld(DATA, "train"))
    assert not {s.dialogue for s in learnt} & {s.dialogue for s in kept}
    assert 0.05 < len(kept) / (len(kept) + len(learnt)) < 0.15


@needs_data
def test_the_shipped_expert_tells_good_reviews_from_bad_ones(reader):
    sentences = sst(DATA, "binary.dev")[::4]
    right = [(reader.read(s.words, s.before)["affect"][0, 0] > 0) == (s.grade > 2) for s in sentences]
    assert np.mean(right) > 0.77, "82.9 % of all of them, as its card says"


def test_the_shipped_expert_understands_what_anybody_would(reader):
    assert valence(reader, "this is a wonderful, touching film") > 0.3
    assert valence(reader, "a dull, pointless and terrible mess") < -0.3
    assert EMOTIONS[reader.read(words_of("oh my god! what?!"), [])["logits"].argmax()] == "surprise"


@needs_data
def test_the_shipped_expert_is_less_sure_the_worse_the_words_are(reader):
    sure = {
        name: float(softmax(read(reader, lines)["logits"], reader.temperature).max(-1).mean())
        for name, lines in conditions(meld(DATA, "dev")[::2]).items()
    }
    assert list(sure) == ["as written", "without marks", "a third of the words wrong"]
    assert sure["as written"] > sure["without marks"] > sure["a third of the words wrong"]


def test_caution_grows_with_what_makes_answers_wrong():
    rng = np.random.default_rng(4)
    right, doubts = rng.integers(7, size=6000), rng.uniform(0, 2, (6000, 2)).astype(np.float32)
    logits = rng.normal(size=(6000, 7)).astype(np.float32)
    logits[np.arange(6000), right] += 1.5
    logits *= np.exp(0.3 + 0.8 * doubts[:, :1])  # boasts more the more the first doubt says
    told = fitted_caution(logits, doubts, right)
    plain = fitted_caution(logits / np.exp(0.3 + 0.8 * doubts[:, :1]), doubts, right)
    assert told - plain == pytest.approx([0.3, 0.8, 0.0], abs=0.02)


def test_the_shipped_expert_reproduces_its_golden_file():
    path = WEIGHTS / "words.onnx"
    assert golden_error(open_engine(path), golden_path(path)) < TOLERANCE


def test_a_file_without_vocabulary_is_refused_in_one_line():
    with pytest.raises(ModelError, match=r"landmarks\.onnx"):
        Reader(WEIGHTS.parent.parent / "face" / "weights" / "landmarks.onnx")


def test_a_corpus_that_is_missing_or_is_none_is_named(tmp_path):
    with pytest.raises(UserError, match=r"stsa\.fine\.train: no such file"):
        sst(tmp_path, "fine.train")
    (tmp_path / "sst").mkdir()
    (tmp_path / "sst" / "stsa.fine.train").write_text("3 fine\nnine lives\n")
    with pytest.raises(UserError, match=r"train:2: begins with 'nine'"):
        sst(tmp_path, "fine.train")
