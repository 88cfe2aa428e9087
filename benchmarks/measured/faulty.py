"""Nodes that go wrong on order: a word in a file, read at every step, says how."""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np

from nodes.perception import face
from nodes.runtime.messages import Message
from nodes.sources import camera

JUMP_MS = 5000.0
LEAK_BYTES = 128 * 2**20  # a step: what is measured is how soon it is ended, not how fast it fills


class Face(face.Face):
    """``perception/face`` that raises while ``orders`` says so; hangs, leaks or dies once when it does."""

    def __init__(self, *, orders: str) -> None:
        super().__init__()
        self._orders = Path(orders)
        self._leaked: list[np.ndarray] = []
        self._leaking = False

    def step(self, messages: Sequence[Message]) -> list[Message]:
        order = _read(self._orders)
        if order == "raise":
            raise ValueError("ordered to fail")
        if order:
            self._orders.unlink()
            self._leaking = order == "leak"
        if order == "hang":
            time.sleep(1000)
        if order == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if self._leaking:
            self._leaked.append(np.ones(LEAK_BYTES, np.uint8))
        return super().step(messages)


class Camera(camera.Camera):
    """``sources/camera`` with a driver that stamps its pictures, wrongly while ``orders`` says so."""

    inputs: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, device: int | str = 0, fps: float = 0.0, orders: str) -> None:
        super().__init__(device=device, fps=fps)
        self._orders = Path(orders)

    def _open_capture(self) -> Any:
        return _Stamped(super()._open_capture(), self._orders)


class _Stamped:
    """A ``cv2.VideoCapture`` as V4L2 gives it: each picture with the host's monotonic clock."""

    def __init__(self, capture: Any, orders: Path) -> None:
        self._capture, self._orders = capture, orders
        self._stamp_ms, self._pictures = 0.0, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._capture, name)

    def getBackendName(self) -> str:  # noqa: N802, OpenCV's name
        return "V4L2"

    def get(self, setting: int) -> float:
        if setting != cv2.CAP_PROP_POS_MSEC:
            return float(self._capture.get(setting))
        order, self._pictures = _read(self._orders), self._pictures + 1
        if order != "twice" or self._pictures % 2:
            jump_ms = {"forward": JUMP_MS, "back": -JUMP_MS}.get(order, 0.0)
            self._stamp_ms = time.monotonic_ns() / 1e6 + jump_ms
        return self._stamp_ms


def _read(orders: Path) -> str:
    try:
        return orders.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
