"""Models, options and grammars that the transcribe node cannot use: one line each."""

import pytest
from scripted_engines import write_audio, write_engines, write_fusion, write_video
from transcribed import opened, scripted

from nodes.perception.transcribe import Transcribe
from nodes.runtime.errors import UserError

engines = pytest.fixture(scripted, scope="module")


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (lambda d: (d / "video.onnx").unlink(), "video.onnx: no such model file"),
        (lambda d: (d / "audio.onnx").write_bytes(b"not a model"), "audio.onnx: not a model"),
        (lambda d: (d / "audio.onnx").write_bytes(b""), "audio.onnx: not a model"),
        (
            lambda d: write_audio(d / "video.onnx"),
            "video.onnx: input mouths must be uint8[1, 4, 88, 88], is missing",
        ),
        (
            lambda d: write_video(d / "audio.onnx"),
            "audio.onnx: input features must be float32[1, 16, 80], is missing",
        ),
        (
            lambda d: write_audio(d / "audio.onnx", tokens=None),
            "audio.onnx: its metadata has no list of tokens",
        ),
        (lambda d: write_audio(d / "audio.onnx", tokens=["", "a"]), "audio.onnx: output log_probs must be"),
        (lambda d: write_video(d / "video.onnx", tokens=[*"abcdef"]), "video.onnx: knows other words"),
        (
            lambda d: write_fusion(d / "fusion.onnx", temperature="hot"),
            "fusion.onnx: its metadata has temperature",
        ),
        (lambda d: write_audio(d / "audio.onnx", likeness="near"), "audio.onnx: its metadata has likeness"),
        (lambda d: write_audio(d / "audio.onnx", likeness="0"), "audio.onnx: its metadata has likeness"),
        (
            lambda d: write_fusion(d / "fusion.onnx", frames=8),
            "fusion.onnx: input audio must be float32[1, 4, 6], is float32",
        ),
    ],
)
def test_a_model_file_that_is_not_what_it_must_be_is_one_line(tmp_path, broken, says):
    write_engines(tmp_path)
    broken(tmp_path)
    with pytest.raises(UserError) as caught:
        opened(tmp_path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"beam": 0}, "beam 0"),
        ({"wait_ms": -1}, "wait_ms -1"),
        ({"onset": 0.3, "offset": 0.6}, "offset not above onset"),
        ({"hangover_ms": 10}, "hangover_ms 10"),
    ],
)
def test_an_option_that_makes_no_sense_is_one_line(options, says):
    with pytest.raises(UserError, match=says):
        Transcribe(**options)


def test_a_grammar_with_an_unknown_word_is_one_line(engines, tmp_path):
    path = tmp_path / "bad.gram"
    path.write_text("red\ngren\n")
    with pytest.raises(
        UserError, match=r"bad.gram:2: the model does not know the word 'gren'; did you mean green?"
    ):
        opened(engines, grammar=str(path))
