"""Clips played as a camera and a microphone would give them, on hosts with different clocks.

Unlike a file they are live: they begin at a moment of the wall clock, go on by their host's clock, and wait
for nobody.  Each of the two may run on another host.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from nodes.runtime.messages import Audio, Gap, Message, Picture
from nodes.runtime.node import Context
from nodes.sources.container import probe
from nodes.sources.timeline import timeline

QUEUE = 64
MAX_SIDE = 640


class _Played:
    """clips: files, one after the other, a second of ``Gap`` after each; ``epoch`` rises with each.
    begin: when, in seconds since 1970.
    """

    inputs: ClassVar[tuple[str, ...]] = ()
    outputs: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, clips: Sequence[str], begin: float) -> None:
        self._clips, self._begin = clips, begin
        self._ready: deque[Message] = deque(maxlen=QUEUE)
        self._stop = threading.Event()

    def open(self, context: Context) -> None:
        self._context = context
        self._thread = threading.Thread(target=self._play, daemon=True)
        self._thread.start()

    def step(self, messages: Sequence[Message]) -> list[Message]:
        return [self._ready.popleft() for _ in range(len(self._ready))]

    def close(self) -> None:
        self._stop.set()
        self._thread.join(0.9)

    def _play(self) -> None:
        context, port = self._context, self.outputs[0]
        # Taken close together, a few times: whoever is interrupted between the two is late.
        t0_ns = max(context.now_ns() + round((self._begin - time.time()) * 1e9) for _ in range(20))
        seq = 0
        for number, clip in enumerate(self._clips):
            info, end_ns = probe(Path(clip)), 0
            for piece in timeline(info, [], MAX_SIDE, Counter()):
                end_ns = max(end_ns, piece.t_end_ns)
                if piece.port != port:
                    continue
                if self._stop.wait(max(0, t0_ns + piece.due_ns - context.now_ns()) / 1e9):
                    return
                head = {
                    "stream": context.name,
                    "seq": seq,
                    "epoch": context.epoch + number,
                    "t_start_ns": t0_ns + piece.t_start_ns,
                    "t_end_ns": t0_ns + piece.t_end_ns,
                }
                seq += 1
                content = piece.content
                if isinstance(content, str):
                    self._ready.append(Gap(**head, of=port, reason=content))
                elif port == "audio":
                    self._ready.append(Audio(**head, samples=content))
                else:
                    self._ready.append(Picture(**head, image=content))
                context.wake()
            t0_ns += end_ns


class Camera(_Played):
    outputs: ClassVar[tuple[str, ...]] = ("picture",)


class Microphone(_Played):
    outputs: ClassVar[tuple[str, ...]] = ("audio",)
