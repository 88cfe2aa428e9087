"""The whole pipeline on a camera and a microphone that can be made to fail while it runs."""

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil

from benchmarks.measured.launched import START_S, TALKER, free_address, launched
from benchmarks.measured.processes import family
from benchmarks.measured.told import Listener
from tests.fixtures_mjpeg import NetworkCamera
from tests.fixtures_pulse import SoundServer

FPS = 25.0
RATE = 16_000
PIPE_BYTES = 4096
MEMORY_MB = 800
WIRING = """\
nodes:
  camera: {{node: "benchmarks.measured.faulty:Camera", group: capture, with: {{device: "{url}", fps: {fps},
    orders: "{orders}/camera"}}}}
  microphone: {{node: sources/microphone, group: capture}}
  face: {{node: "benchmarks.measured.faulty:Face", group: perceive, inputs: [camera/picture],
    with: {{orders: "{orders}/face"}}}}
  transcribe: {{node: perception/transcribe, group: perceive, inputs: [microphone/audio, face/face]}}
  sentiment: {{node: perception/sentiment, group: perceive,
    inputs: [microphone/audio, face/face, transcribe/voice, transcribe/transcript]}}
  publish: {{node: outputs/publish, group: publish,
    inputs: [transcribe/transcript, transcribe/voice, face/face, sentiment/sentiment]}}
groups: {{perceive: {{memory_mb: {memory_mb}}}}}
"""


class Stage:
    """``launch.py run`` in a ``with``: ``camera``, ``sound`` and ``speech`` are its devices.

    listener: hears what it publishes.  SystemExit where it does not begin to read sound and lips.
    """

    def __init__(self) -> None:
        if missing := SoundServer.missing():
            raise SystemExit(missing)
        self.address = free_address()
        self.folder = Path(tempfile.mkdtemp(prefix="stage"))
        with av.open(str(TALKER)) as file:
            self.pictures = [frame.to_ndarray(format="bgr24") for frame in file.decode(video=0)]
        self.camera = NetworkCamera(self.show, FPS)
        self.sound = SoundServer(self.folder)
        self.speech = Speech(self.sound)
        self.listener = Listener(self.address)
        self._open = ExitStack()

    def show(self, i: int) -> np.ndarray:
        return self.pictures[i % len(self.pictures)]

    def __enter__(self) -> "Stage":
        with ExitStack() as opened:
            opened.callback(shutil.rmtree, self.folder, ignore_errors=True)
            opened.callback(self.camera.kill)
            opened.callback(self.sound.stop)
            opened.callback(self.speech.stop)
            os.environ.update(self.sound.env)
            self.sound.start()
            self.speech.start()
            self.camera.start()
            wiring = self.folder / "pipeline.yaml"
            wiring.write_text(
                WIRING.format(url=self.camera.url, fps=FPS, orders=self.folder, memory_mb=MEMORY_MB)
            )
            self.process = opened.enter_context(launched(self.address, "--pipeline", str(wiring)))
            opened.enter_context(self.listener)
            if self.listener.wait(0.0, START_S, is_av) is None:
                raise SystemExit(f"neither sound nor lips are read after {START_S:.0f} s")
            if self.listener.wait(0.0, START_S, all_run) is None:
                raise SystemExit("not every group runs")
            self._open = opened.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def order(self, node: str, word: str) -> None:
        """camera: "forward", "back" or "twice"; face: "raise", "hang", "leak" or "die"; "" ends it."""
        order = self.folder / node
        if word:
            order.with_suffix(".new").write_text(word)
            order.with_suffix(".new").rename(order)
        else:
            order.unlink(missing_ok=True)

    def pid(self, group: str) -> int:
        return int(self.listener.status()["groups"][group]["pid"])

    def send(self, group: str, number: signal.Signals) -> None:
        os.kill(self.pid(group), number)

    def send_all(self, number: signal.Signals) -> None:
        """To every process of the pipeline, Ray's too; the one that was launched first."""
        for process in family(self.process.pid):
            with suppress(psutil.Error):
                process.send_signal(number)


class Speech:
    """The talker's sentence into the null sink, over and over; ``gain`` may be changed meanwhile."""

    def __init__(self, sound: SoundServer) -> None:
        with av.open(str(TALKER)) as file:
            resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
            parts = [part for frame in file.decode(audio=0) for part in resampler.resample(frame)]
        self._samples = np.concatenate([part.to_ndarray()[0] for part in parts]).astype(np.float32)
        self._sound = sound
        self.gain = 1.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Again, too, after the sound server was away."""
        self.stop()
        self._stop.clear()
        command = ["pacat", "--device=hear", "--latency-msec=30", "--format=s16le", f"--rate={RATE}"]
        self._player = subprocess.Popen(
            [*command, "--channels=1"],
            env={**os.environ, **self._sound.env},
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        assert self._player.stdin is not None
        fcntl.fcntl(self._player.stdin, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._thread = threading.Thread(target=self._run, args=(self._player.stdin,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._player.kill()
            self._player.wait(5)
            self._thread.join(5)
            self._thread = None

    def _run(self, pipe: Any) -> None:
        step = PIPE_BYTES // 4
        with suppress(OSError):
            while not self._stop.is_set():
                for begin in range(0, len(self._samples), step):
                    part = np.clip(self._samples[begin : begin + step] * self.gain, -32768, 32767)
                    pipe.write(part.astype("<i2").tobytes())


def is_av(topic: str, body: dict[str, Any]) -> bool:
    return topic == "voice" and body["mode"] == "av"


def all_run(topic: str, body: dict[str, Any]) -> bool:
    names = {"capture", "perceive", "publish"}
    return topic == "status" and all(body["groups"].get(name, {}).get("state") == "running" for name in names)
