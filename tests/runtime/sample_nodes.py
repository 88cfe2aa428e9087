"""Small nodes for tests of the runtime: sources that count, a middle that passes on, an end that notes."""

import json
import os
import threading
import time
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from nodes.runtime.abreast import ask
from nodes.runtime.errors import UserError
from nodes.runtime.messages import (
    FRAME_NS,
    FRAME_SAMPLES,
    Audio,
    Face,
    Gap,
    Health,
    Picture,
    Transcript,
    Voice,
)


class Tone:
    """A source: sound and pictures at 25 Hz, each carrying its number; a "file" if ``count`` is given."""

    inputs = ()
    outputs = ("audio", "picture")

    def __init__(self, *, count: int = 0, side: int = 16, crash_at: int = -1, hurry: bool = False):
        self.count, self.side, self.crash_at, self.hurry = count, side, crash_at, hurry

    def open(self, context):
        self.context = context
        self.start_ns = context.now_ns()
        self.sent = 0

    def step(self, messages):
        made = []
        now_ns = self.context.now_ns()
        while not (self.count and self.sent >= self.count) and len(made) < 8:
            start_ns = self.start_ns + self.sent * FRAME_NS
            if not self.hurry and start_ns + FRAME_NS > now_ns:
                break
            if self.sent == self.crash_at and self.context.epoch % 4096 == 0:
                raise RuntimeError("the cable was pulled\nsecond line")
            head = {
                "stream": self.context.name,
                "seq": self.sent,
                "epoch": self.context.epoch,
                "t_start_ns": start_ns,
                "t_end_ns": start_ns + FRAME_NS,
            }
            made.append(Audio(**head, samples=np.full(FRAME_SAMPLES, self.sent % 1000 / 1000, np.float32)))
            made.append(Picture(**head, image=np.full((self.side, self.side, 3), self.sent % 256, np.uint8)))
            self.sent += 1
        return made

    def close(self):
        pass


class File(Tone):
    """The same as a file: it ends."""

    @property
    def finished(self):
        return self.sent >= self.count


class Lips:
    """A middle: a face for each picture; fails on picture number ``crash_on``, whenever it comes."""

    inputs = ("picture",)
    outputs = ("face",)

    def __init__(
        self,
        *,
        crash_on: int = -1,
        hang_on: int = -1,
        die_on: int = -1,
        die_always: bool = False,
        opens_again_in: float = 0.0,
        refuse: bool = False,
        leak: bool = False,
    ):
        self.crash_on, self.hang_on, self.die_on = crash_on, hang_on, die_on
        self.die_always, self.refuse, self.leak = die_always, refuse, leak
        self.opens_again_in = opens_again_in
        self.leaked = []

    def open(self, context):
        if self.refuse:
            raise UserError("there are no lips here; draw some")
        if context.epoch % 4096:
            time.sleep(self.opens_again_in)
        self.context = context

    def step(self, messages):
        made = []
        for message in messages:
            if isinstance(message, Gap):
                continue
            first = self.context.epoch < 4096
            if self.leak and first:
                self.leaked.append(np.ones(1_000_000))
            if message.seq == self.crash_on:
                raise ValueError("no such lips")
            if message.seq == self.hang_on and first:
                time.sleep(1000)
            if message.seq >= self.die_on >= 0 and (first or self.die_always):
                os.kill(os.getpid(), 9)
            made.append(
                Face(
                    stream=message.stream,
                    seq=message.seq,
                    epoch=self.context.epoch,
                    t_start_ns=message.t_start_ns,
                    t_end_ns=message.t_end_ns,
                    mouth=np.full((88, 88), message.image[0, 0, 0]),
                    face=np.zeros((64, 64), np.uint8),
                    box=(0.0, 0.0, 1.0, 1.0),
                    landmarks=np.zeros((5, 2), np.float32),
                    quality=1.0,
                    track=0,
                )
            )
        return made

    def close(self):
        pass


class Slow:
    """A middle: passes sound on as Voice, taking ``seconds`` for each message."""

    inputs = ("audio", "face")
    outputs = ("voice",)

    def __init__(self, *, seconds: float = 0.0):
        self.seconds = seconds

    def open(self, context):
        self.context = context
        self.seq = 0

    def step(self, messages):
        made = []
        for message in messages:
            if isinstance(message, Audio):
                time.sleep(self.seconds)
                made.append(
                    Voice(
                        stream=self.context.name,
                        seq=self.seq,
                        epoch=message.epoch,
                        t_start_ns=message.t_start_ns,
                        t_end_ns=message.t_end_ns,
                        speaking=True,
                        probability=float(message.samples[0]),
                        mode="audio",
                        modalities={"audio": 1.0, "video": 0.0},
                        sync_error_ms=None,
                    )
                )
                self.seq += 1
        return made

    def close(self):
        pass


def count(values):
    return [len(values)] * len(values)


class Asking(Slow):
    """The same, stepped beside others like it; the probability of a Voice is how many asked at once."""

    abreast = True

    def __init__(self, *, beside: int = 1):
        super().__init__()
        self.beside = beside

    def open(self, context):
        super().open(context)
        if context.abreast != self.beside:
            raise UserError(f"{context.abreast} abreast, not {self.beside}")

    def step(self, messages):
        return [replace(voice, probability=float(ask(count, 0))) for voice in super().step(messages)]


class Diary:
    """An end: writes one JSON line for each message to ``path``."""

    inputs = ("audio", "picture", "face", "voice", "transcript", "health")
    outputs = ()

    def __init__(self, *, path: str):
        self.path = path

    def open(self, context):
        if not Path(self.path).parent.is_dir():
            raise UserError(f"{self.path}: no such folder; make it first")
        self.file = open(self.path, "a", buffering=1)  # noqa: SIM115, closed in close

    def step(self, messages):
        for message in messages:
            line = {
                "kind": type(message).__name__,
                "stream": message.stream,
                "port": message.port,
                "seq": message.seq,
                "epoch": message.epoch,
                "t_start_ns": message.t_start_ns,
                "t_end_ns": message.t_end_ns,
                "age_ms": (time.monotonic_ns() - message.t_end_ns) / 1e6,
            }
            if isinstance(message, Health):
                line |= {"group": message.group, "state": message.state, "restarts": message.restarts}
                line |= {"pid": message.pid, "nodes": message.nodes, "edges": message.edges}
            if isinstance(message, Gap):
                line["reason"] = message.reason
            if isinstance(message, Voice):
                line["probability"] = message.probability
            self.file.write(json.dumps(line) + "\n")
        return []

    def close(self):
        self.file.close()


class Camera:
    """A source for graphs only: what a real camera declares."""

    inputs = ()
    outputs = ("picture",)

    def __init__(self, *, device: int | str = 0, width: int = 640):
        self.device, self.width = device, width

    def open(self, context): ...
    def step(self, messages):
        return []

    def close(self): ...


class Microphone(Camera):
    outputs = ("audio",)

    def __init__(self, *, device: int | str = "default"):
        self.device = device


class Words:
    inputs = ("audio", "face")
    outputs = ("transcript", "voice")

    def __init__(self, *, model: str = "m.onnx", rate: float = 1.0, names: list[str] | None = None): ...
    def open(self, context): ...
    def step(self, messages):
        return []

    def close(self): ...


class Threaded:
    """A source that is woken: its own thread makes one Transcript on ``ring``."""

    inputs = ()
    outputs = ("transcript",)

    def open(self, context):
        self.context = context
        self.ready = []
        self.timer = threading.Timer(0.2, self._ring)
        self.timer.start()

    def _ring(self):
        now_ns = time.monotonic_ns()
        self.ready.append(
            Transcript(
                stream="ring",
                seq=0,
                epoch=0,
                t_start_ns=now_ns,
                t_end_ns=now_ns,
                segment=0,
                revision=0,
                final=False,
                text="ring",
                words=[],
                mode="none",
                modalities={},
                sync_error_ms=None,
            )
        )
        self.context.wake()

    def step(self, messages):
        ready, self.ready = self.ready, []
        return ready

    def close(self):
        self.timer.cancel()


class Echo:
    """For cycles."""

    inputs = ("audio",)
    outputs = ("audio",)

    def open(self, context): ...
    def step(self, messages):
        return list(messages)

    def close(self): ...
