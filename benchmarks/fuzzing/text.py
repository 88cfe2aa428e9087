"""Fuzz targets: what a person writes (wiring, grammars, options, keys) and what lies beside data (labels)."""

import importlib
from pathlib import Path, PurePosixPath
from unittest import mock

from benchmarks.fuzzing.target import Target, declared, folder, joined, split, written
from engines.catalogue import CATALOGUE, read_catalogue
from engines.engine import ModelError
from engines.speech.grammar import load_grammar
from engines.speech.layouts import Clip, Stored, parse_align, words_in_name
from engines.speech.vocabulary import WORDS
from engines.speech.zipformer import read_tokens
from nodes.outputs import address
from nodes.runtime import check, graph
from nodes.sources.timeline import Cut

ROOT = Path(__file__).resolve().parents[2]
_import = importlib.import_module


def _known(name: str, package: str | None = None):  # type: ignore[no-untyped-def]
    """A wiring may name any module, as any program may import one: here only those of nodes are there."""
    if not name.startswith("nodes."):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return _import(name, package)


def pipeline(data: bytes) -> None:
    with declared(), mock.patch("importlib.import_module", _known):
        check.check(graph.parse(written("pipeline.yaml", data)))


def grammar(data: bytes) -> None:
    with declared():
        found = load_grammar(written("grammar.jsgf", data), WORDS)
        state = found.start
        for word in sorted(found.words)[:3]:
            state = found.step(state, word)
        found.accepts(state)


def catalogue(data: bytes) -> None:
    with declared():
        for name, model in read_catalogue(written("models.yaml", data)).models.items():
            assert "/" not in name + model.download
            assert all("/" not in file and file not in (".", "..") for file in model.placed)


def labels(data: bytes) -> None:
    """Labels of a clip and the names of files: the first part is a name, the second a file's content."""
    name, content, *_ = [*split(data), b"", b""]
    stem = name.decode(errors="replace").replace("/", "_").replace("\0", "_")[:100] or "x"
    words_in_name(stem)
    with declared():
        parse_align(content.decode(errors="replace"), "x.align")
    for suffix in (".align", ".json", ".txt"):
        label = Stored(written(f"label{suffix}", content), PurePosixPath(f"{stem}{suffix}"))
        media = Stored(Path("x.mp4"), PurePosixPath(f"{stem}.mp4"))
        clip = Clip(stem, "s1", media, None, label, words_in_name(stem))
        with declared():
            clip.words()
            clip.times()


def tokens(data: bytes) -> None:
    with declared(ModelError):
        read_tokens(written("tokens.txt", data))


def options(data: bytes) -> None:
    """What stands behind a key or a flag as text with a form of its own."""
    text = data.decode(errors="replace")
    with declared():
        Cut.parse(text)
    with declared():
        address.check(text)
        address.is_local(text)
        address.from_here(text)


def keys(data: bytes) -> None:
    from nodes.outputs import keys as certificates

    keys_folder = folder() / "keys"
    keys_folder.mkdir(mode=0o700, exist_ok=True)
    secret = keys_folder / "server.key_secret"
    secret.touch(mode=0o600)
    secret.write_bytes(data)
    (keys_folder / "client.key").write_bytes(data)
    with declared():
        certificates.pair(keys_folder, "server")
    with declared():
        certificates.known(keys_folder)


def _key_files() -> list[bytes]:
    from zmq.auth import create_certificates

    made = create_certificates(folder(), "seed")
    return [Path(file).read_bytes() for file in made]


_JSGF = b"""#JSGF V1.0;
grammar grid;
public <sentence> = <command> (red | blue) [at] <letter>+ ;
<command> = bin | lay | place ; // a comment
<letter> = a | b /* another */ | c* ;
"""
_LOMBARD = b"""{"s2_l_bbaf2n": [{"phone": "b_B", "offset": 0.5, "duration": 0.1},
{"phone": "ih_I", "offset": 0.6, "duration": 0.1}, {"phone": "n_E", "offset": 0.7, "duration": 0.1}]}"""
_WIRING = b"""nodes:
  media: {node: sources/media, group: capture, with: {path: a.mp4, speed: 0, cut: ["audio 1-2"]}}
  face: {node: perception/face, group: perceive, inputs: [media/picture]}
  words: &w {node: perception/transcribe, group: perceive, inputs: [media/audio, face/face]}
  publish:
    node: outputs/publish
    group: publish
    inputs: [words/transcript, face/face]
    with: {address: "tcp://127.0.0.1:5556", keys: keys}
groups:
  capture: {runs_on: local, edges: {audio: {messages: 4, bytes: 100000}}}
"""

TARGETS = {
    "pipeline": Target(
        pipeline,
        lambda: [_WIRING, (ROOT / "pipeline.yaml").read_bytes()],
        brief=250,
        longest=8192,
        words=(
            b"!!int",
            b"!!binary",
            b"!!set",
            b"<<: *w",
            b"&a",
            b"*a",
            b"2001-12-14",
            b"runs_on:",
            b"edges:",
        ),
    ),
    "grammar": Target(
        grammar,
        lambda: [_JSGF, b"bin lay place\n# a comment\n"],
        brief=4000,
        words=(b"#JSGF V1.0;", b"public", b"<a>", b"|"),
    ),
    "catalogue": Target(
        catalogue,
        lambda: [CATALOGUE.read_bytes()],
        brief=150,
        longest=8192,
        words=(b"sha256:", b"files:", b"&a", b"*a"),
    ),
    "labels": Target(
        labels,
        lambda: [
            joined(b"s2_l_bbaf2n", _LOMBARD),
            joined(b"3_theo_7", b"three, four."),
            joined(b"bbaf2n", b"0 12250 sil\n12250 19250 bin\n19250 24000 blue\n"),
        ],
        brief=2500,
    ),
    "tokens": Target(tokens, lambda: [b"<blk> 0\n<sos/eos> 1\n\xe2\x96\x81THE 2\n"], brief=10_000),
    "options": Target(
        options,
        lambda: [b"audio 1.0-2.5", b"tcp://127.0.0.1:5556", b"ipc:///tmp/x", b"tcp://[::1]:*"],
        brief=20_000,
        longest=256,
        words=(b"tcp://", b"ipc://", b"video ", b"[::]", b"0.0.0.0"),
    ),
    "keys": Target(
        keys,
        _key_files,
        brief=3000,
        longest=2048,
        words=(b"public-key", b"secret-key", b"metadata", b"curve"),
    ),
}
