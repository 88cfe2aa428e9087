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
END = "end of file"


class _Played:
    """clips: files, one after the other, a second of ``Gap`` after each; ``epoch`` rises with each.
    joined: files that follow, with nothing between them.
    begin: a file that will hold the moment when to begin, in seconds since 1970.
    """

    inputs: ClassVar[tuple[str, ...]] = ()
    outputs: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, begin: str, clips: Sequence[str], joined: Sequence[str] = ()) -> None:
        self._begin, self._clips, self._joined = Path(begin), clips, joined
        self._ready: deque[Message] = deque(maxlen=QUEUE)
        self._stop = threading.Event()
        self._seq = 0

    def open(self, context: Context) -> None:
        self._context = context
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def step(self, messages: Sequence[Message]) -> list[Message]:
        return [self._ready.popleft() for _ in range(len(self._ready))]

    def close(self) -> None:
        self._stop.set()
        self._thread.join(0.9)

    def _run(self) -> None:
        while not self._begin.exists():
            if self._stop.wait(0.05):
                return
        begin_s = float(self._begin.read_text())
        # Taken close together, a few times: whoever is interrupted between the two is late.
        t0_ns = max(self._context.now_ns() + round((begin_s - time.time()) * 1e9) for _ in range(20))
        epoch = self._context.epoch
        for clip in self._clips:
            t0_ns += self._play(clip, t0_ns, epoch, whole=True)
            epoch += 1
        for clip in self._joined:
            t0_ns += self._play(clip, t0_ns, epoch, whole=False)

    def _play(self, clip: str, t0_ns: int, epoch: int, whole: bool) -> int:
        """How long it was; whole: with the gap at its end."""
        context, port, end_ns = self._context, self.outputs[0], 0
        for piece in timeline(probe(Path(clip)), [], MAX_SIDE, Counter()):
            content = piece.content
            if not whole and isinstance(content, str) and content == END:
                break
            end_ns = max(end_ns, piece.t_end_ns)
            if piece.port != port:
                continue
            if self._stop.wait(max(0, t0_ns + piece.due_ns - context.now_ns()) / 1e9):
                break
            head = {
                "stream": context.name,
                "seq": self._seq,
                "epoch": epoch,
                "t_start_ns": t0_ns + piece.t_start_ns,
                "t_end_ns": t0_ns + piece.t_end_ns,
            }
            self._seq += 1
            if isinstance(content, str):
                self._ready.append(Gap(**head, of=port, reason=content))
            elif port == "audio":
                self._ready.append(Audio(**head, samples=content))
            else:
                self._ready.append(Picture(**head, image=content))
            context.wake()
        return end_ns


class Camera(_Played):
    outputs: ClassVar[tuple[str, ...]] = ("picture",)


class Microphone(_Played):
    outputs: ClassVar[tuple[str, ...]] = ("audio",)
