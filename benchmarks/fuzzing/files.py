"""Fuzz targets: files of others that C and C++ read for us (models, media), and archives.

A damaged one may end the process that reads it; the fuzzer says so, and then it is a finding of ours too: the
group is started again, but the next start would read the same file.
"""

import hashlib
import io
import re
import shutil
import tarfile
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np

from benchmarks.fuzzing.target import Target, declared, folder, written
from engines.catalogue import Known
from engines.engine import ModelError, OnnxRuntimeEngine, open_engine, zero_state
from engines.golden import golden_error
from engines.unpack import unpack
from nodes.runtime.errors import UserError
from nodes.sources import container

ROOT = Path(__file__).resolve().parents[2]
TALKER = ROOT / "nodes" / "sources" / "talker" / "talker.mp4"
FUSION = ROOT / "engines" / "sentiment" / "weights" / "fusion.onnx"
WANTED = {"a.onnx": Known(sha256=hashlib.sha256(b"model").hexdigest(), bytes=5)}
EQUATION = re.compile(rb"[a-z]+(,[a-z]+)*->[a-z]+")
LONGEST_S = 60


def model(data: bytes) -> None:
    """Opened and run for a step, as a node does; the smallest of ours is what it was."""
    if b"Einsum" in data and not EQUATION.search(data):
        return  # onnxruntime never comes back from an equation that is none: tests/runtime/test_rehearse.py
    path = written("x.onnx", data)
    with declared(ModelError):
        engine = open_engine(path)
        assert sum(np.prod(shape) for shape, _ in engine.inputs.values()) < 2**26, "a state of gigabytes"
        feeds = {name: np.zeros(*spec) for name, spec in engine.inputs.items()} | zero_state(engine)
        engine.run(feeds)


def golden(data: bytes) -> None:
    with declared(ModelError):
        golden_error(_fusion(), written("x.golden.npz", data))


def archive(data: bytes) -> None:
    into = folder() / "into"
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir()
    with declared(UserError):
        unpack(written("x.tar", data), WANTED, into)
    assert {file.name for file in into.rglob("*")} <= set(WANTED), "something else was unpacked"
    assert set(folder().parent.glob("*/a.onnx")) <= set(into.glob("*")), "it went elsewhere"


def media(data: bytes) -> None:
    """Its sound and pictures are what the messages may hold, for at most a minute of each."""
    path = str(written("x.media", data))
    damage: Counter[str] = Counter()
    with declared(UserError):
        container.probe(path)
        for count, (t_ns, block) in enumerate(container.sound(path, damage)):
            assert block.dtype == np.float32
            assert t_ns < 2**62
            assert np.isfinite(block).all(), "sound that is no number"
            if count > LONGEST_S * 25:
                break
        for count, (t_ns, period_ns, image) in enumerate(container.pictures(path, damage, 64)):
            assert image.dtype == np.uint8
            assert max(image.shape[:2]) <= 64
            assert 0 <= t_ns < 2**62
            assert period_ns > 0
            if count > LONGEST_S * 25:
                break


@cache
def _fusion() -> OnnxRuntimeEngine:
    return OnnxRuntimeEngine(FUSION)


def _archives() -> list[bytes]:
    made = []
    for mode in ("w", "w:gz", "w:bz2", "w:xz"):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode=mode) as tar:
            for name in ("release/README", "release/a.onnx"):
                member = tarfile.TarInfo(name)
                member.size = 5
                tar.addfile(member, io.BytesIO(b"model"))
        made.append(out.getvalue())
    return made


def _media() -> list[bytes]:
    """A tenth of a second in each of the usual containers, made here: FFmpeg's library is at hand."""
    return [_clip(*form) for form in FORMS]


FORMS = [
    ("mp4", "mpeg4", "aac"),
    ("matroska", "mjpeg", "pcm_f32le"),
    ("avi", "mjpeg", "mp3"),
    ("wav", "", "pcm_s16le"),
    ("wav", "", "pcm_f32le"),
    ("mpegts", "mpeg2video", "mp2"),
    ("flac", "", "flac"),
]


def _clip(form: str, picture: str, sound: str) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format=form) as clip:
        streams: list[tuple[Any, list[Any]]] = []
        if picture:
            video = clip.add_stream(picture, rate=25)
            video.width, video.height = 32, 32
            video.pix_fmt = "yuvj420p" if picture == "mjpeg" else "yuv420p"
            images = [av.VideoFrame.from_ndarray(np.full((32, 32, 3), 90, np.uint8)) for _ in range(3)]
            for number, image in enumerate(images):
                image.pts = number
            streams.append((video, images))
        audio = clip.add_stream(sound, rate=16_000, layout="mono")
        tone = np.sin(np.arange(3200) / 9).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16_000, 0
        streams.append((audio, [frame]))
        for stream, frames in streams:
            for one in frames:
                clip.mux(stream.encode(one))
            clip.mux(stream.encode(None))
    return out.getvalue()


TARGETS = {
    "archive": Target(
        archive,
        _archives,
        brief=1500,
        longest=32_768,
        words=(b"ustar", b"release/../a.onnx", b"././@LongLink", b"a.onnx"),
    ),
    "golden": Target(
        golden,
        lambda: [FUSION.with_suffix(".golden.npz").read_bytes()],
        brief=2000,
        longest=8192,
        words=(b"PK\x03\x04", b"NUMPY", b"'descr'", b"|O"),
    ),
    "model": Target(
        model,
        lambda: [FUSION.read_bytes()],
        brief=700,
        longest=8192,
        words=(b"state_x", b"batch", b"Gemm", b"Loop", b"If", b"external"),
    ),
    "media": Target(
        media, _media, brief=70, longest=32_768, words=(b"moov", b"mdat", b"RIFF", b"fmt ", b"\x1aE\xdf\xa3")
    ),
}
