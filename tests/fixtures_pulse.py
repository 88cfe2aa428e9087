"""A private PulseAudio server with a null sink, whose monitor is a real microphone to PortAudio."""

import os
import shutil
import signal
import subprocess
import threading
import time

import numpy as np

NEEDS = "apt-get install pulseaudio pulseaudio-utils libasound2-plugins libportaudio2"


class SoundServer:
    """Lives in ``folder``; processes that should use it get ``env``."""

    def __init__(self, folder):
        self.folder = folder
        self.socket = folder / "native"
        self.env = {
            "PULSE_SERVER": f"unix:{self.socket}",
            "PULSE_RUNTIME_PATH": str(folder),
            "PULSE_STATE_PATH": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "HOME": str(folder),
        }
        self.process = None
        self._clients = []

    @staticmethod
    def missing():
        """What is not installed, or None."""
        absent = [tool for tool in ("pulseaudio", "pacat", "pactl") if shutil.which(tool) is None]
        return f"{', '.join(absent)} not installed: {NEEDS}" if absent else None

    def start(self):
        self.socket.unlink(missing_ok=True)
        modules = [
            f"module-native-protocol-unix socket={self.socket} auth-anonymous=1",
            "module-null-sink sink_name=hear rate=48000 channels=2",
        ]
        options = ["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--log-level=error"]
        command = ["pulseaudio", *options, *(part for module in modules for part in ("-L", module))]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, env={**os.environ, **self.env}, **quiet)
        deadline = time.monotonic() + 10
        while self.control("info", check=False).returncode:
            assert time.monotonic() < deadline, "the sound server did not start"
            assert self.process.poll() is None, "the sound server ended at once"
            time.sleep(0.02)
        self._wake(deadline)

    def _wake(self, deadline):
        """A null sink's first block is 2 s long; a card's is as short as whoever records wants it.

        Block lengths are asked for by clients and hold from the next block on, or from being suspended.
        """
        command = ["parec", "--device=hear.monitor", "--latency-msec=20"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._clients.append(subprocess.Popen(command, env={**os.environ, **self.env}, **quiet))
        while not self.control("list", "short", "source-outputs").stdout:
            assert time.monotonic() < deadline, "the sound server takes no client"
            time.sleep(0.02)
        for state in "10":
            self.control("suspend-sink", "hear", state)

    def control(self, *arguments, check=True):
        return subprocess.run(
            ["pactl", *arguments],
            env={**os.environ, **self.env},
            check=check,
            capture_output=True,
            text=True,
            timeout=10,
        )

    def play(self, path):
        """Play a WAV file into the null sink, without waiting for its end."""
        command = ["paplay", "--device=hear", "--latency-msec=30", str(path)]
        player = subprocess.Popen(command, env={**os.environ, **self.env}, stderr=subprocess.DEVNULL)
        self._clients.append(player)
        return player

    def replace_sink(self, rate, channels):
        """As when a sound card is unplugged and another one, of another rate, plugged in."""
        self.control("unload-module", "module-null-sink")
        self.control(
            "load-module", "module-null-sink", "sink_name=hear", f"rate={rate}", f"channels={channels}"
        )
        self._wake(time.monotonic() + 10)

    def line_in(self, rate=16_000):
        """A source whose sound comes through a pipe, as the default microphone; gives the pipe's path."""
        pipe = self.folder / "line"
        self.control(
            "load-module",
            "module-pipe-source",
            "source_name=line",
            f"file={pipe}",
            "format=s16le",
            f"rate={rate}",
            "channels=1",
        )
        self.control("set-default-source", "line")
        return pipe

    def kill(self):
        """As when the server crashes: everything that uses it loses its connection at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(5)
            self.process = None

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        for client in self._clients:
            client.kill()
            client.wait(5)
        self.kill()


class LineIn:
    """Plays into ``SoundServer.line_in`` in real time, by a clock that runs ``ppm`` fast.

    samples: float32 [n]; ``played_ns(i)`` is the host's time at which sample i existed.
    """

    BLOCK = 160

    def __init__(self, pipe, samples, rate=16_000, ppm=0.0):
        self._pipe = pipe
        self._data = (np.clip(samples, -1, 1) * 32767).astype("<i2")
        self._step_ns = 1e9 / rate / (1 + ppm * 1e-6)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._began_ns = None
        self._stop = threading.Event()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._stop.set()
        self._thread.join(5)

    def played_ns(self, sample):
        return round(self._began_ns + sample * self._step_ns)

    def _run(self):
        with open(self._pipe, "wb", buffering=0) as pipe:
            self._began_ns = time.monotonic_ns()
            for start in range(0, len(self._data), self.BLOCK):
                due = self.played_ns(start + self.BLOCK)
                if self._stop.wait(max(0, due - time.monotonic_ns()) / 1e9):
                    return
                pipe.write(self._data[start : start + self.BLOCK].tobytes())
