"""Fuzz targets: what comes over a wire or from a disk in our own forms: messages, plans, recordings."""

import io
from collections import Counter

import msgspec
import numpy as np

from benchmarks.fuzzing.target import Target, declared, folder, joined, split, written
from engines import plan as plans
from nodes.outputs.bodies import BODIES
from nodes.outputs.mcap_file import McapFile
from nodes.outputs.screen import Screen
from nodes.outputs.subscriber import read
from nodes.outputs.topics import examples
from nodes.runtime.messages import (
    Audio,
    Face,
    Gap,
    Health,
    MessageError,
    Picture,
    Transcript,
    Voice,
    decode,
    encode,
)
from nodes.runtime.recorded import keep
from nodes.sources import archive

KEY = plans.Key("00" * 32, {"x": [1, 2]}, "float16", "tensorrt", "10", "sm_89", "11" * 32)


def message(data: bytes) -> None:
    """A message, if it is one, is what its kind says and can be sent on."""
    with declared(MessageError):
        found = decode(split(data))
        assert found.port in {k.port for k in (Audio, Picture, Face, Transcript, Voice, Health)} | {
            "sentiment"
        } or isinstance(found, Gap)
        for packed in (False, True):
            again = decode([bytes(part) for part in encode(found, packed=packed)])
            assert type(again) is type(found)


def body(data: bytes) -> None:
    """What a subscriber shows of a publisher that is not to be trusted."""
    with declared():
        topic, shown = read("tcp://x", split(data))
        for out in (io.StringIO(), Terminal()):
            with Screen(out) as screen:
                screen.show(topic, shown)
                screen.show(topic, shown)
            if not any(obeyed in out.getvalue() for obeyed in ("\x07", "\x9b", "\x1b]", "\x1b[8m", "\x0b")):
                continue
            raise AssertionError(f"a terminal would obey {out.getvalue()!r}")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def plan(data: bytes) -> None:
    """Nothing but the very plan that was asked for is taken for one."""
    path = written("x.plan", data)
    taken = plans.read_plan(path, KEY)
    assert taken is None or data.endswith(taken)


def recording(data: bytes) -> None:
    path = str(written("x.mcap", data))
    with declared():
        archive.probe(path)
    damage: Counter[str] = Counter()
    with declared():
        for found in archive.read(path, damage):
            assert isinstance(found, Audio | Picture | Gap)
            encode(found)


def _messages() -> list[bytes]:
    head = {"stream": "camera", "seq": 7, "epoch": 1, "t_start_ns": 2**60, "t_end_ns": 2**60 + 1}
    heard = {"mode": "av", "modalities": {"audio": 0.5}, "sync_error_ms": None}
    made = [
        Audio(**head, samples=np.zeros(16, np.float32)),
        Picture(**head, image=np.zeros((2, 3, 3), np.uint8)),
        Gap(**head, of="audio", reason="overflow"),
        Voice(**head, speaking=True, probability=0.5, faces={1: None, 2: True}, **heard),
        Transcript(**head, segment=1, revision=1, final=True, text="bin", words=[], **heard),
        Health(
            **head,
            group="capture",
            state="running",
            restarts=0,
            pid=1,
            memory_bytes=1,
            nodes={"camera": {"state": "ok", "gaps": {"picture": "dark"}}},
            edges={"a/b>c": {"queued": 1}},
        ),
    ]
    return [joined(*map(bytes, encode(one, packed=packed))) for one in made for packed in (False, True)]


def _bodies() -> list[bytes]:
    return [joined(topic.encode(), msgspec.json.encode(one)) for topic, one in examples().items()]


def _plans() -> list[bytes]:
    path = folder() / "seed.plan"
    plans.write_plan(path, KEY, b"a plan")
    return [path.read_bytes()]


def _recordings() -> list[bytes]:
    path = folder() / "seed.mcap"
    path.unlink(missing_ok=True)
    file = McapFile(path, 0, ("audio", "picture"))
    for seq in range(2):
        head = {"seq": seq, "epoch": 0, "t_start_ns": seq * 40_000_000, "t_end_ns": (seq + 1) * 40_000_000}
        for one in (
            Audio(stream="m", samples=np.zeros(16, np.float32), **head),
            Picture(stream="c", image=np.zeros((4, 4, 3), np.uint8), **head),
            Gap(stream="c", of="picture", reason="dark", **head),
        ):
            schema, kept = keep(one, 0, 90)
            file.write(f"{one.stream}/{one.port}", schema, kept, seq, seq, seq)
        file.flush()
    file.finish()
    whole = path.read_bytes()
    return [whole, whole[: len(whole) // 2]]


TARGETS = {
    "message": Target(
        message, _messages, brief=20_000, words=(b"\xc0", b"\xd9\xff", b"\xcf" + b"\xff" * 8, b"samples")
    ),
    "body": Target(
        body,
        _bodies,
        brief=20_000,
        words=(b"null", b"1e999", b"-1", b"\\u001b[2J", b'"repeat":true', *map(str.encode, BODIES)),
    ),
    "plan": Target(plan, _plans, brief=10_000, words=(plans.MAGIC, b'"key"', b'"bytes"', b"[" * 50)),
    "recording": Target(
        recording, _recordings, brief=500, longest=16_384, words=(b"zstd", b"lz4", b"\x89MCAP0\r\n")
    ),
}
