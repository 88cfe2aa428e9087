"""A camera as a source: OpenCV's pictures, BGR, timed by the driver where it can."""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from nodes.runtime.errors import UserError
from nodes.runtime.messages import Message, Picture
from nodes.runtime.node import Context
from nodes.sources.outlet import Outlet
from nodes.sources.picture import fit
from nodes.sources.shutter import Shutter
from nodes.sources.sight import Sight

log = logging.getLogger(__name__)

# What waits to be handed out; more drops the oldest, and its time becomes a Gap.
QUEUE_PICTURES = 8
OPEN_TIMEOUT_MS = 3000
READ_TIMEOUT_MS = 1000
RETRY_S = 1.0
# Pictures this many periods apart have a hole between them.
HOLE_PERIODS = 3
# A picture that was there at once had been waiting: when a stream is opened, its first ones come in a burst.
WAITING_S = 0.003
BURST_S = 1.0


class Camera:
    """Pictures as they come.

    device: an index, a path such as /dev/video2, or a URL (http with MJPEG, rtsp).
    width, height, fps: asked of the camera, which gives what it can; 0 leaves them as they are.  Of a URL
        nothing can be asked: what its server sends is taken.  Another rate than ``fps`` is told.
    latency_ms: from the shutter to the arrival, for cameras whose driver gives no time.
    max_side: pictures are shrunk until their longer side is at most this many pixels.

    While there is none (not found, unplugged, the network gone) it sends ``Gap`` 25 times a second with the
    reason, tries again every second, and takes it up with the next epoch.  A ``Gap`` also takes the place of
    every picture of a camera that is frozen, or sees only black.
    """

    inputs: ClassVar[tuple[str, ...]] = ()
    outputs: ClassVar[tuple[str, ...]] = ("picture",)

    def __init__(
        self,
        *,
        device: int | str = 0,
        width: int = 0,
        height: int = 0,
        fps: float = 0.0,
        latency_ms: float = 0.0,
        max_side: int = 640,
    ) -> None:
        self.device = int(device) if isinstance(device, str) and device.isdigit() else device
        self.width = width
        self.height = height
        self.fps = fps
        self.latency_ms = latency_ms
        self.max_side = max_side
        self._pictures: deque[_Shot] = deque(maxlen=QUEUE_PICTURES)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._streaming = False
        self._shutter: Shutter | None = None
        self._overflowed = False
        self._absence = f"camera {device} is starting"
        self._sight = Sight(self.device, fps)
        self._distrust = ""

    def open(self, context: Context) -> None:
        """Raises UserError for options that make no sense."""
        if self.max_side < 16:
            raise UserError(f"max_side {self.max_side}: give at least 16 pixels")
        if isinstance(self.device, str) and os.path.isfile(self.device):
            raise UserError(
                f"camera {self.device}: is a file; play it with --source, or with node sources/media"
            )
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        self._context = context
        self._outlet = Outlet(context, "picture", f"camera {self.device}")
        self._thread = threading.Thread(target=self._run, name=f"{context.name} capture", daemon=True)
        self._thread.start()

    def step(self, messages: Sequence[Message]) -> list[Message]:
        made: list[Message] = []
        while self._pictures:
            made += self._hand_out(self._pictures.popleft())
        return made + self._outlet.idle(None if self._streaming else self._absence)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with the camera though its pictures are used, for ``status``."""
        return self._sight.warnings if self._streaming else ()

    def close(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=0.9)

    @property
    def clock(self) -> dict[str, float] | None:
        """How the camera's own clock runs, for ``status``; None without one, and while there is no camera."""
        shutter = self._shutter
        return shutter.clock if self._streaming and shutter is not None else None

    def _hand_out(self, shot: "_Shot") -> list[Message]:
        """The picture, or a Gap where it is not to be trusted, unless a Gap has been told for its time.

        Before it a Gap where there is a hole.
        """
        made: list[Message] = []
        if shot.taken_ns < self._outlet.gap_end_ns:
            return []
        if shot.taken_ns - self._outlet.end_ns > (HOLE_PERIODS - 1) * shot.period_ns:
            reason = f"pictures of camera {self.device} dropped, the computer is too busy"
            made.append(self._outlet.gap(shot.taken_ns, reason if self._overflowed else shot.reason))
        self._overflowed = False
        end = shot.taken_ns + shot.period_ns
        if shot.distrust:
            return [*made, self._outlet.withhold(shot.epoch, shot.taken_ns, end, shot.distrust)]
        made.append(self._outlet.send(Picture, shot.epoch, shot.taken_ns, end, image=shot.image))
        return made

    def _run(self) -> None:
        epoch = self._context.epoch
        while not self._stop.is_set():
            capture = self._open_capture()
            try:
                if capture.isOpened():
                    epoch = self._watch(capture, epoch)
                else:
                    self._absent(f"camera {self.device} not found")
            finally:
                self._streaming = False
                capture.release()
            self._stop.wait(RETRY_S)

    def _watch(self, capture: Any, epoch: int) -> int:
        """Until the camera is lost or the node closes; gives the epoch for the next time."""
        shutter = self._shutter = Shutter(round(self.latency_ms * 1e6))
        timed = capture.getBackendName() == "V4L2" or str(self.device).startswith("rtsp")
        used, opened = epoch, time.monotonic()
        while not self._stop.is_set():
            asked = time.monotonic()
            there, image = capture.read()
            arrived_ns = self._context.now_ns()
            if not there:
                self._absent(f"camera {self.device} unplugged or not answering")
                break
            ready = time.monotonic()
            if not self._streaming and ready - asked < WAITING_S and ready - opened < BURST_S:
                continue
            driver_ms = capture.get(cv2.CAP_PROP_POS_MSEC) if timed else 0.0
            taken_ns = shutter.taken_ns(arrived_ns, round(driver_ms * 1e6) if driver_ms > 0 else None)
            if not self._streaming:
                log.info("camera %s is seen, %d x %d", self.device, image.shape[1], image.shape[0])
                reason = self._absence
            elif used != epoch + shutter.jumps + 1:
                reason = f"the clock of camera {self.device} jumped"
            else:
                reason = f"camera {self.device} gave no picture"
            used = epoch + shutter.jumps + 1
            image = fit(image, self.max_side)
            self._judge(self._sight.look(image, taken_ns))
            shot = _Shot(taken_ns, shutter.period_ns, image, used - 1, reason, self._distrust)
            self._overflowed |= len(self._pictures) == QUEUE_PICTURES
            self._pictures.append(shot)
            self._streaming = True
            self._context.wake()
        return used

    def _open_capture(self) -> Any:
        asked = {
            cv2.CAP_PROP_FRAME_WIDTH: self.width,
            cv2.CAP_PROP_FRAME_HEIGHT: self.height,
            cv2.CAP_PROP_FPS: self.fps,
        }
        if isinstance(self.device, str) and "://" in self.device:
            timeouts = [
                cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
                OPEN_TIMEOUT_MS,
                cv2.CAP_PROP_READ_TIMEOUT_MSEC,
                READ_TIMEOUT_MS,
            ]
            return cv2.VideoCapture(self.device, cv2.CAP_FFMPEG, timeouts)
        capture = cv2.VideoCapture(self.device)
        for setting, value in asked.items():
            if value and capture.isOpened():
                capture.set(setting, value)
        return capture

    def _judge(self, distrust: str) -> None:
        if distrust != self._distrust:
            self._distrust = distrust
            log.warning("%s", distrust or f"camera {self.device} sees again")

    def _absent(self, reason: str) -> None:
        self._streaming = False
        if reason != self._absence:
            self._absence = reason
            log.warning("%s; looking for it", reason)


class _Shot(NamedTuple):
    """reason: why there is a hole before the picture, if any.  distrust: why it is not sent, or ""."""

    taken_ns: int
    period_ns: int
    image: NDArray[np.uint8]
    epoch: int
    reason: str
    distrust: str
