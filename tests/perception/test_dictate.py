"""Dictation as the pipeline runs it, on a release of random weights: when it says something makes sense."""

import sys
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest

from engines import store
from engines.catalogue import Catalogue, Known, read_catalogue
from engines.fetch import sha256_of
from nodes.perception.dictate import Dictate
from nodes.runtime.check import check
from nodes.runtime.errors import UserError
from nodes.runtime.graph import parse
from nodes.runtime.messages import Audio, Gap, Transcript, Voice
from nodes.runtime.node import Context

sys.path.insert(0, str(Path(__file__).parents[1] / "speech"))
from zipformer_files import write_release

ROOT = Path(__file__).parents[2]
MS = 1_000_000
SEED = 22


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return write_release(tmp_path_factory.mktemp("release"), SEED)


def opened(release, **options):
    node = Dictate(model=str(release), **options)
    node.open(Context(name="english", live=False))
    return node


def spoken():
    """1 s of silence, 3 s of the talker's voice, 2 s of silence."""
    with av.open(str(ROOT / "nodes/sources/talker/talker.mp4")) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=16_000)
        pieces = [f.to_ndarray()[0] for p in container.decode(audio=0) for f in resampler.resample(p)]
    voice = np.concatenate(pieces)[:48_000]
    quiet = np.random.default_rng(0).normal(0, 1e-4, 16_000).astype(np.float32)
    return np.concatenate([quiet, voice, quiet, quiet])


def blocks(samples, start_ms=0, epoch=0, size=320, seq=0):
    return [
        Audio(
            stream="microphone",
            seq=seq + i,
            epoch=epoch,
            t_start_ns=start_ms * MS + at * MS // 16,
            t_end_ns=start_ms * MS + (at + size) * MS // 16,
            samples=samples[at : at + size].astype(np.float32),
        )
        for i, at in enumerate(range(0, len(samples) - size + 1, size))
    ]


def gaps(start_ms, end_ms, seq=0):
    return [
        Gap(
            stream="microphone",
            seq=seq + i,
            epoch=0,
            t_start_ns=t * MS,
            t_end_ns=(t + 20) * MS,
            of="audio",
            reason="unplugged",
        )
        for i, t in enumerate(range(start_ms, end_ms, 20))
    ]


def run(node, messages):
    return [answer for message in messages for answer in node.step([message])]


def transcripts(answers):
    return [a for a in answers if isinstance(a, Transcript)]


def test_a_segment_begins_changes_and_is_completed_once_while_voice_comes_with_every_chunk(release):
    answers = run(opened(release), blocks(spoken()))
    told, voices = transcripts(answers), [a for a in answers if isinstance(a, Voice)]
    assert len(voices) == 6 * 16_000 // 2560
    assert any(v.speaking for v in voices)
    assert not voices[0].speaking
    assert not voices[-1].speaking
    assert {v.mode for v in voices} == {"audio"}
    assert [t.segment for t in told] == sorted(t.segment for t in told)
    for segment in {t.segment for t in told}:
        news = [t for t in told if t.segment == segment]
        assert [t.revision for t in news] == list(range(len(news)))
        assert [t.final for t in news] == [False] * (len(news) - 1) + [True]
    final = told[-1]
    assert final.words
    assert final.text == " ".join(word.text for word in final.words)
    assert {word.heard_by for word in final.words} == {"a"}
    assert all(0 <= word.t_start_ns < word.t_end_ns <= 6_000 * MS for word in final.words)
    assert [t.seq for t in told] == list(range(len(told)))
    assert {t.stream for t in told} == {"english"}


def test_pieces_of_any_size_give_the_same_transcripts(release):
    samples = spoken()
    some, others = (transcripts(run(opened(release), blocks(samples, size=n))) for n in (320, 1600))
    assert [(t.text, t.final) for t in some] == [(t.text, t.final) for t in others]


@pytest.mark.parametrize("how", ["gap", "epoch"])
def test_where_the_sound_is_cut_what_was_heard_is_told_and_nothing_of_it_goes_on(release, how):
    samples, node = spoken()[: 18 * 2560], opened(release)  # whole chunks
    told = transcripts(run(node, blocks(samples)))
    assert told
    assert not told[-1].final
    if how == "gap":
        rest = [*gaps(2880, 4000, seq=144), *blocks(samples, 4000, seq=200)]
    else:
        rest = blocks(samples, 2880, epoch=1)
    after = transcripts(run(node, rest))
    final = next(t for t in after if t.final)
    assert final.segment == told[-1].segment
    assert final.words[-1].t_end_ns <= 2880 * MS
    second = [t for t in after if t.segment > final.segment]
    lost = 2560 if how == "epoch" else 0  # the aligner takes up another epoch with its second chunk
    fresh = transcripts(run(opened(release), blocks(samples[lost:])))
    assert [t.text for t in second] == [t.text for t in fresh]


def test_silence_and_no_sound_say_nothing(release):
    node = opened(release)
    quiet = np.random.default_rng(0).normal(0, 1e-4, 32_000)
    answers = run(node, blocks(quiet)) + run(node, gaps(2000, 4000, seq=100))
    assert transcripts(answers) == []
    modes = [a.mode for a in answers]
    assert modes[0] == "audio"
    assert modes[-1] == "none"


def test_a_model_of_the_store_is_loaded_only_while_its_sums_are_right(release, tmp_path, monkeypatch):
    monkeypatch.setenv("HEARSEE_MODELS", str(tmp_path))
    with pytest.raises(UserError, match=r"not here; `python launch\.py models pull zipformer-en-20m`"):
        opened("zipformer-en-20m")
    with pytest.raises(UserError, match="no model 'zipformer'; there are yunet"):
        opened("zipformer")
    shipped = read_catalogue().models["zipformer-en-20m"]
    names = ["encoder-epoch-99-avg-1.int8.onnx", "decoder-epoch-99-avg-1.onnx"]
    names += ["joiner-epoch-99-avg-1.int8.onnx", "tokens.txt"]
    assert sorted(shipped.files) == sorted(names)
    known = {n: Known(sha256=sha256_of(release / n), bytes=(release / n).stat().st_size) for n in names}
    this = Catalogue(models={"zipformer-en-20m": msgspec.structs.replace(shipped, files=known)})
    monkeypatch.setattr(store, "read_catalogue", lambda: this)
    folder = tmp_path / "zipformer-en-20m"
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes((release / name).read_bytes())
    assert transcripts(run(opened("zipformer-en-20m"), blocks(spoken())))
    (folder / "encoder-epoch-99-avg-1.onnx").write_bytes(b"another, which is not asked for")
    opened("zipformer-en-20m")
    (folder / "tokens.txt").write_text((folder / "tokens.txt").read_text().replace("A", "B"))
    with pytest.raises(UserError, match=r"tokens\.txt: not the known file"):
        opened("zipformer-en-20m")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"beam": 0}, "beam 0"),
        ({"onset": 0.2, "offset": 0.5}, "offset not above onset"),
        ({"hangover_ms": 1}, "hangover_ms 1"),
    ],
)
def test_a_bad_option_is_one_clear_line(options, says):
    with pytest.raises(UserError, match=says):
        Dictate(**options)


def test_it_takes_the_place_of_transcribe_by_one_line_and_stands_beside_it_by_five(tmp_path):
    wiring = (ROOT / "pipeline.yaml").read_text()
    path = tmp_path / "pipeline.yaml"
    path.write_text(wiring.replace("node: perception/transcribe", "node: perception/dictate"))
    assert check(parse(path)).nodes["transcribe"].kind == "perception/dictate"
    beside = wiring.replace(
        "  publish:\n",
        "  english:\n    node: perception/dictate\n    group: english\n    inputs: [microphone/audio]\n\n"
        "  publish:\n",
    ).replace("inputs: [transcribe/transcript,", "inputs: [english/transcript, transcribe/transcript,")
    path.write_text(beside)
    graph = check(parse(path))
    assert {"transcribe", "english"} <= graph.nodes.keys()
    routes = {source.route for source in graph.nodes["publish"].inputs}
    assert {"english/transcript", "transcribe/transcript"} <= routes


def test_stopped_in_the_middle_of_a_sentence_it_tells_what_was_heard_for_good(release):
    node = opened(release)
    before = run(node, blocks(spoken()[: 16_000 * 3]))
    after = node.flush()
    assert not [m for m in before if isinstance(m, Transcript) and m.final]
    finals = [m for m in after if isinstance(m, Transcript) and m.final]
    assert len(finals) == 1
    assert finals[0].text.startswith([m for m in before if isinstance(m, Transcript)][-1].text.split()[0])
    assert not [m for m in node.flush() if isinstance(m, Transcript)]
