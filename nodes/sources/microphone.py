"""A microphone as a source: PortAudio's sound at 16 kHz mono, timed by the card's own clock."""

import contextlib
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from nodes.runtime.messages import Audio, Message
from nodes.runtime.node import Context
from nodes.sources import portaudio
from nodes.sources.intake import SAMPLE_NS, Block, Heard, Intake
from nodes.sources.level import Level
from nodes.sources.outlet import Outlet

log = logging.getLogger(__name__)

# What waits to be handed out: 2 s.  More drops the oldest, and its time becomes a Gap.
QUEUE_BLOCKS = 80
# Callbacks that wait to be timed.  More drops the newest, and the next one's position shows how many samples.
QUEUE_CALLBACKS = 100
DEAD_S = 0.3
# Bluetooth microphones, and PulseAudio sources that slept, take this long to give their first block.
FIRST_BLOCK_S = 4.0
RETRY_S = 0.5
RETRY_LIBRARY_S = 10.0


class _Sound(NamedTuple):
    """reason: why there is a hole before the block, if there is one."""

    block: Block
    epoch: int
    reason: str


class Microphone:
    """Sound in blocks of 20 to 50 ms.

    device: "default", an index or a part of a name as ``python launch.py doctor`` lists them.

    While there is none (not found, unplugged, the sound server gone) it sends ``Gap`` 25 times a second with
    the reason, looks for it twice a second, and takes it up again with the next epoch.
    """

    inputs: ClassVar[tuple[str, ...]] = ()
    outputs: ClassVar[tuple[str, ...]] = ("audio",)

    def __init__(self, *, device: int | str = "default") -> None:
        self.device = device
        self._blocks: deque[_Sound] = deque(maxlen=QUEUE_BLOCKS)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._streaming = False
        self._intake: Intake | None = None
        self._absence = f"microphone '{device}' is starting"
        self._level: Level | None = None

    def open(self, context: Context) -> None:
        self._context = context
        self._outlet = Outlet(context, "audio", f"microphone '{self.device}'")
        self._thread = threading.Thread(target=self._run, name=f"{context.name} capture", daemon=True)
        self._thread.start()

    def step(self, messages: Sequence[Message]) -> list[Message]:
        made: list[Message] = []
        while self._blocks:
            made += self._hand_out(self._blocks.popleft())
        return made + self._outlet.idle(None if self._streaming else self._absence)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with the microphone though it is heard, for ``status``."""
        return self._level.warnings if self._level and self._streaming else ()

    def close(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=0.9)

    @property
    def clock(self) -> dict[str, float] | None:
        """How the card's clock runs, for ``status``; None while there is no card."""
        intake = self._intake
        return intake.clock if self._streaming and intake is not None else None

    def _hand_out(self, sound: _Sound) -> list[Message]:
        """The block less what a Gap has already been sent for, and before it a Gap where there is a hole."""
        made: list[Message] = []
        start, end, samples, _ = sound.block
        hole = start - self._outlet.end_ns
        if hole > 0:
            made.append(self._outlet.gap(start, sound.reason))
        elif hole < 0:
            start, samples = self._outlet.end_ns, samples[-hole // SAMPLE_NS :]
        if samples.size and start < end:
            made.append(self._outlet.send(Audio, sound.epoch, start, end, samples=samples))
        return made

    def _run(self) -> None:
        epoch = self._context.epoch
        while not self._stop.is_set():
            callbacks = _Callbacks(self._context)
            try:
                stream = portaudio.open_input(self.device, callbacks)
            except portaudio.UnavailableError as unavailable:
                self._absent(str(unavailable))
                missing = isinstance(unavailable, portaudio.MissingLibraryError)
                self._stop.wait(RETRY_LIBRARY_S if missing else RETRY_S)
                continue
            try:
                epoch = self._listen(stream, callbacks, epoch)
            finally:
                self._streaming = False
                portaudio.close(stream)

    def _listen(self, stream: Any, callbacks: "_Callbacks", epoch: int) -> int:
        """Until the stream dies or the node closes; gives the epoch for the next stream."""
        intake, used = Intake(round(stream.samplerate)), epoch
        self._intake = intake
        level = self._level = Level(self.device, round(stream.samplerate))
        deadline = time.monotonic() + FIRST_BLOCK_S
        while not self._stop.is_set():
            try:
                heard = callbacks.queue.get(timeout=0.05)
            except queue.Empty:
                if time.monotonic() < deadline and stream.active:
                    continue
                lost = "unplugged, or its sound server gone" if self._streaming else "gives no sound"
                self._absent(f"microphone '{self.device}' {lost}")
                break
            deadline = time.monotonic() + DEAD_S
            level.hear(heard.samples)
            for block in intake.feed(heard):
                if not self._streaming:
                    log.info("microphone '%s' is heard, %g Hz", self.device, stream.samplerate)
                    reason, self._streaming = self._absence, True
                elif used != epoch + block.epoch + 1:
                    reason = f"the clock of microphone '{self.device}' jumped"
                else:
                    reason = "sound lost, the computer is too busy"
                used = epoch + block.epoch + 1
                self._blocks.append(_Sound(block, epoch + block.epoch, reason))
            self._context.wake()
        return used

    def _absent(self, reason: str) -> None:
        self._streaming = False
        if reason != self._absence:
            self._absence = reason
            log.warning("%s; looking for it", reason)


class _Callbacks:
    """Takes what PortAudio's own thread brings; must be quick, so it only copies."""

    def __init__(self, context: Context) -> None:
        self.queue: queue.Queue[Heard] = queue.Queue(QUEUE_CALLBACKS)
        self._now_ns = context.now_ns
        self._position = 0

    def __call__(self, samples: np.ndarray, count: int, times: Any, status: Any) -> None:
        arrived_ns = self._now_ns()
        delay_ns = max(0, round((times.currentTime - times.inputBufferAdcTime) * 1e9))
        heard = Heard(self._position, arrived_ns, delay_ns, samples.copy(), bool(status.input_overflow))
        self._position += count
        with contextlib.suppress(queue.Full):
            self.queue.put_nowait(heard)
