"""Engines that get faster as they run: the processor at once, the GPU when its plan has proved itself.

A plan is built in a process of its own, so neither a crash nor the load of it touches what is being heard.
It then reproduces the golden file and hears the rehearsal (``engines.proof``), and from the next step on it
computes; the state is an input like any other and goes over with it.
"""

import logging
import os
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import numpy as np

from engines.batch import share
from engines.build import CPU, Wanted, build_command, find_plan, widest
from engines.engine import Arrays, Engine, ModelError, Opener, RowEngine, Spec, open_engine, zero_state
from engines.gpu.device import DeviceError, find_capability
from engines.proof import proved
from engines.variant import PRECISIONS

log = logging.getLogger(__name__)

BACKENDS = ("auto", "onnxruntime", "tensorrt")
BUILD_S = 600.0
NICE = 15


_one_at_a_time = threading.Lock()


class Server:
    """Opens engines (``engines.engine.Opener``) on one backend, in one precision.

    backend: "onnxruntime", "tensorrt", or "auto": TensorRT where there is it and a GPU.
    precision: one of ``engines.variant``, or "auto": float16 on a GPU, float32 on the processor.
    first: what opens the engine that serves until then, and again where the other fails.
    streams: that open the same engines in this process; on a GPU they share one plan (``engines.batch``).
    Raises ModelError for any other, and for a backend that this machine does not have.
    """

    def __init__(
        self,
        backend: str = "auto",
        precision: str = "auto",
        first: Opener = open_engine,
        streams: int = 1,
    ) -> None:
        if backend not in BACKENDS:
            raise ModelError(f"backend {backend!r}: there are {', '.join(BACKENDS)}")
        if precision not in ("auto", *PRECISIONS):
            raise ModelError(f"precision {precision!r}: there are auto, {', '.join(PRECISIONS)}")
        found = find_capability() if backend != "onnxruntime" else None
        if backend == "tensorrt" and found is None:
            raise ModelError(
                "backend tensorrt: no NVIDIA GPU can be used here; see `python launch.py doctor`"
            )
        self.capability = f"sm_{found}" if found is not None else CPU
        plain = "float32" if found is None else "float16"
        self.precision = plain if precision == "auto" else precision
        if found is not None and self.precision == "int8":
            raise ModelError("precision int8: only on the processor; add backend: onnxruntime")
        self._open_first = first
        self._streams = streams if found is not None else 1
        self._served: dict[str, Served] = {}

    @property
    def report(self) -> dict[str, str]:
        """What computes now, by the name of the model, and what is to come."""
        return {name: engine.report for name, engine in self._served.items()}

    def __call__(self, path: Path, require: Spec | None = None) -> Engine:
        first = self._open_first(path, require)
        if self.capability == CPU and self.precision == "float32":
            served = Served(first)
        else:
            batch = widest(path, self._streams)
            served = Served(first, Wanted(path, self.precision, self.capability, batch))
        self._served[path.stem] = served
        return served

    def wait(self, timeout_s: float) -> None:
        """Returns when every engine is what it is going to be, or after so long."""
        for engine in self._served.values():
            engine.wait(timeout_s)

    def close(self) -> None:
        for engine in self._served.values():
            engine.close()


class Served:
    """``first``, and from some step on the engine that is ``wanted``, once it is there and proved.

    Where that one fails while it computes, ``first`` is back at the same step.
    """

    def __init__(self, first: Engine, wanted: Wanted | None = None) -> None:
        self.inputs, self.outputs, self.metadata = first.inputs, first.outputs, first.metadata
        self.backend = first.backend
        self._first = first
        self._now: Engine = first
        self._next: Engine | None = None
        self._wanted = wanted
        self._note = ""
        self._children: list[subprocess.Popen[bytes]] = []
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        # Also where nobody closes: a build that nobody waits for ends with this process.
        self._end = weakref.finalize(self, _end_all, self._children, self._closed)
        if wanted is not None:
            self._note = f"{wanted} is being built"
            self._thread = threading.Thread(
                target=self._prepare, args=(wanted, first), name=f"build {wanted.model.stem}", daemon=True
            )
            self._thread.start()

    @property
    def report(self) -> str:
        serves = str(self._wanted) if self._now is not self._first else f"{self._first.backend} float32"
        return f"{serves}; {self._note}" if self._note else serves

    def run(self, feeds: Arrays) -> Arrays:
        if self._next is not None:
            self._now, self._next = self._next, None
            self.backend, self._note = self._now.backend, ""
        if self._now is self._first:
            return self._first.run(feeds)
        try:
            return self._now.run(feeds)
        except DeviceError as error:
            log.warning("%s: %s; onnxruntime goes on", self._wanted, error)
            self._note = f"{self._wanted} failed: {error}"
            self._now, self.backend = self._first, self._first.backend
            return self._first.run(self._read_back(feeds))

    def wait(self, timeout_s: float) -> None:
        if self._thread is not None:
            self._thread.join(timeout_s)

    def close(self) -> None:
        self._end()

    def _read_back(self, feeds: Arrays) -> Arrays:
        """``feeds`` as arrays of the host; a state that the device has lost starts anew."""
        fresh = zero_state(self._first)
        read: Arrays = {}
        for name, value in feeds.items():
            try:
                read[name] = np.asarray(value)
            except ModelError:
                read[name] = fresh[name]
        return read

    def _prepare(self, wanted: Wanted, first: Engine) -> None:
        # What is heard now comes first. Linux gives each thread a priority of its own; elsewhere it stays.
        if sys.platform == "linux":
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        try:
            with _one_at_a_time:
                engine = self._open(wanted, first)
        except Exception as error:  # whatever it is, what serves now goes on serving
            reason = str(error) if isinstance(error, ModelError) else f"{type(error).__name__}: {error}"
            if not self._closed.is_set():
                log.warning("%s: not used: %s", wanted, reason)
                self._note = f"{wanted} is not used: {reason}"
            return
        self._note = f"{wanted} takes over"
        self._next = engine

    def _open(self, wanted: Wanted, first: Engine) -> Engine:
        if wanted.batch == 1:
            return self._build_and_prove(wanted, first)
        return share(wanted.path, lambda: self._build_and_prove(wanted, first), first)

    def _build_and_prove(self, wanted: Wanted, first: Engine) -> RowEngine:
        if find_plan(wanted) is not None:
            try:
                return proved(wanted, first)
            except ModelError as error:  # whole, of the right key, and yet not right: as if it were stale
                log.warning("%s; building the plan again", error)
                wanted.path.unlink(missing_ok=True)
        self._build_apart(wanted)
        return proved(wanted, first)

    def _build_apart(self, wanted: Wanted) -> None:
        command = [sys.executable, "-m", "engines.build", *build_command(wanted)]
        child = subprocess.Popen(
            command, cwd=Path(__file__).parents[1], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        self._children.append(child)
        if self._closed.is_set():
            child.kill()
        try:
            _, said = child.communicate(timeout=BUILD_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            raise ModelError(f"{wanted}: not built after {BUILD_S:.0f} s") from None
        finally:
            self._children.remove(child)
        if child.returncode != 0:
            last = said.decode(errors="replace").strip().splitlines()[-1:] or [f"status {child.returncode}"]
            raise ModelError(last[0].removeprefix("error: ")[:300])


def _end_all(children: list[subprocess.Popen[bytes]], closed: threading.Event) -> None:
    closed.set()
    for child in list(children):
        child.kill()
