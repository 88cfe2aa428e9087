"""A streaming Zipformer release, as published but with random weights: heard as sherpa-onnx hears it.

``sherpa_onnx_heard.json`` is what sherpa-onnx 2.0.1 makes of the same float32 files and the same sound, by
kind, seed and active paths (one: greedy); ``kaldi_fbank.npz`` what kaldi-native-fbank 1.23.0 makes of its
first second.
"""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper
from zipformer_files import CONTEXT, FRAMES, TOKENS, WIDTH, sound, write_release

from engines.engine import ModelError
from engines.speech.fbank import Fbank
from engines.speech.transducer import WORD_BEGINS, Search
from engines.speech.zipformer import Zipformer, read_tokens, transducer_files

HERE = Path(__file__).parent
HEARD = json.loads((HERE / "sherpa_onnx_heard.json").read_text())
MODELS = sorted({tuple(name.split()[:2]) for name in HEARD})


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    """The folder of a release for each kind and seed."""
    return {
        (kind, seed): write_release(tmp_path_factory.mktemp(kind + seed), int(seed), kind)
        for kind, seed in MODELS
    }


@pytest.fixture
def release(tmp_path):
    """One that a test may break."""
    return write_release(tmp_path / "release")


def opened(folder):
    return Zipformer(*transducer_files(folder.iterdir()))


def encoded(model, samples, size=2560):
    return np.concatenate([model.encode(samples[i : i + size]) for i in range(0, len(samples), size)])


def best(search):
    return max(search._paths, key=lambda path: path.score).chosen


def test_the_features_are_kaldis():
    expected = np.load(HERE / "kaldi_fbank.npz")["first_20_and_last_10"]
    made = Fbank().push(sound(7)[:16_000])
    assert np.concatenate([made[:20], made[-10:]]) == pytest.approx(expected, abs=5e-4)
    silence = Fbank().push(np.zeros(4000, np.float32))
    assert np.all(silence == np.log(np.finfo(np.float32).eps)), "as Kaldi has it"


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(0, 4000), max_size=8))
def test_features_do_not_depend_on_where_the_sound_was_cut(cuts):
    samples = sound(7)[:4000]
    fbank = Fbank()
    edges = [0, *sorted(cuts), len(samples)]
    pieces = [fbank.push(samples[a:b]) for a, b in pairwise(edges)]
    assert np.concatenate(pieces) == pytest.approx(Fbank().push(samples), abs=1e-5)


@pytest.mark.parametrize("name", HEARD)
def test_it_hears_what_sherpa_onnx_hears_when_and_how_surely(releases, name):
    kind, seed, beam = name.split()
    folder = releases[kind, seed]
    parts = ("encoder", "decoder", "joiner")
    model = Zipformer(*(folder / f"{part}-epoch-99-avg-1.onnx" for part in parts), folder / "tokens.txt")
    search, at = Search(model, int(beam)), 0
    for start in range(0, 6 * 16_000, 2560):
        encodings = model.encode(sound(int(seed))[start : start + 2560])
        search.push(encodings, range(at, at + len(encodings) + 1), "a")
        at += len(encodings)
    chosen = best(search)
    assert [TOKENS[step.token].replace(WORD_BEGINS, " ") for step in chosen] == HEARD[name]["tokens"]
    assert [step.t_start_ns for step in chosen] == HEARD[name]["frames"]
    assert [step.log_prob for step in chosen] == pytest.approx(HEARD[name]["log_probs"], abs=2e-3)


def test_of_a_release_the_int8_encoder_and_joiner_are_taken_and_are_nearly_the_float32_ones(releases):
    folder = releases[MODELS[0]]
    encoder, decoder, joiner, tokens = transducer_files(folder.iterdir())
    assert (encoder.name, decoder.name, joiner.name) == (
        "encoder-epoch-99-avg-1.int8.onnx",
        "decoder-epoch-99-avg-1.onnx",
        "joiner-epoch-99-avg-1.int8.onnx",
    )
    whole = [path.with_name(path.name.replace(".int8", "")) for path in (encoder, decoder, joiner)]
    small, large = Zipformer(encoder, decoder, joiner, tokens), Zipformer(*whole, tokens)
    assert np.abs(encoded(small, sound(1)[:24_000]) - encoded(large, sound(1)[:24_000])).mean() < 0.05


def test_a_step_is_320_ms_and_comes_when_39_frames_are_there(releases):
    model = opened(releases[MODELS[0]])
    came = [len(model.encode(piece)) for piece in np.split(sound(1)[: 10 * 2560], 10)]
    assert came == [0, 0, 8, 0, 8, 0, 8, 0, 8, 0]
    assert model.context == CONTEXT
    assert model.width == WIDTH
    assert sum(came) == 4 * FRAMES


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=st.integers(100, 20_000))
def test_encodings_do_not_depend_on_where_the_sound_was_cut(releases, size):
    model, samples = opened(releases[MODELS[0]]), sound(1)[:24_000]
    whole = encoded(model, samples)
    model.reset()
    assert encoded(model, samples, size) == pytest.approx(whole, abs=1e-4)


def test_after_a_reset_nothing_of_the_past_is_left(releases):
    model, samples = opened(releases[MODELS[0]]), sound(1)[:24_000]
    first = encoded(model, samples)
    assert not np.allclose(encoded(model, samples)[: len(first)], first, atol=1e-3)
    model.reset()
    assert np.array_equal(encoded(model, samples), first)


@pytest.mark.parametrize("which", [MODELS[0], MODELS[-1]])
def test_every_tensor_of_state_counts(releases, which):
    """Otherwise the comparison with sherpa-onnx would not notice a state that is lost or mixed up."""
    model = opened(releases[which])
    features = np.zeros((1, 39, 80), np.float32)
    for name in model._zeros:
        model.reset()
        calm = model._step(features)
        model.reset()
        model._state = {**model._state, name: model._zeros[name] + 1}
        assert np.abs(model._step(features) - calm).max() > 1e-4, name


@pytest.mark.parametrize("part", ["encoder", "decoder", "joiner", "tokens"])
@pytest.mark.parametrize("harm", ["gone", "empty", "rubbish"])
def test_a_broken_file_is_named_in_one_line(release, part, harm):
    for file in release.glob(f"{part}*"):
        if harm == "gone":
            file.unlink()
        else:
            file.write_bytes(b"" if harm == "empty" else b"\xff\xfe not it")
    with pytest.raises(ModelError) as error:
        opened(release)
    assert part in str(error.value)
    assert "\n" not in str(error.value)


def test_files_of_two_models_are_told_apart(release):
    lines = (release / "tokens.txt").read_text().splitlines()
    (release / "tokens.txt").write_text("\n".join(lines[:-1]))
    with pytest.raises(ModelError, match=rf"joiner.*knows {len(TOKENS)} tokens, not {len(TOKENS) - 1}"):
        opened(release)
    encoder, decoder, joiner, tokens = transducer_files(release.iterdir())
    with pytest.raises(ModelError, match="has no number T; not an export of icefall"):
        Zipformer(decoder, decoder, joiner, tokens)
    with pytest.raises(ModelError, match="has no number context_size"):
        Zipformer(encoder, encoder, joiner, tokens)
    with pytest.raises(ModelError, match="not \\['encoder_out', 'decoder_out'\\]"):
        Zipformer(encoder, decoder, decoder, tokens)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("T", "0", "no number T"),
        ("T", "31", "moves by 32 of 31"),
        ("T", "40", "cannot be run"),
        ("decode_chunk_len", "30", "moves by 30"),
        ("decode_chunk_len", "16", "gives 8 frames for 16"),
        ("decode_chunk_len", "-32", "no number decode_chunk_len"),
    ],
)
def test_metadata_that_does_not_fit_is_told(release, key, value, says):
    path = release / "encoder-epoch-99-avg-1.int8.onnx"
    model = onnx.load(path)
    helper.set_model_props(model, {**{p.key: p.value for p in model.metadata_props}, key: value})
    onnx.save(model, path)
    with pytest.raises(ModelError, match=says):
        opened(release)


def test_a_folder_with_two_encoders_or_none_is_not_guessed_at(release):
    (release / "encoder-b.int8.onnx").write_bytes(b"")
    with pytest.raises(ModelError, match=r"one encoder\*\.onnx is needed there, found encoder-b"):
        opened(release)
    with pytest.raises(ModelError, match=r"no tokens\.txt"):
        transducer_files([])


@pytest.mark.parametrize(
    "text", ["<blk>\n", "<blk> 0\n", "<blk> 0\na 2\n", "<blk> 0\na 0\n", "<blk> x\na 1\n"]
)
def test_tokens_that_are_no_list_are_refused(tmp_path, text):
    (tmp_path / "tokens.txt").write_text(text)
    with pytest.raises(ModelError, match=r"tokens\.txt: "):
        read_tokens(tmp_path / "tokens.txt")
