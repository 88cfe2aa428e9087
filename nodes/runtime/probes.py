"""What this machine has of what hearsee needs, one function for each thing; ``doctor`` prints it.

Each probe runs in a process of its own, ``python -m nodes.runtime.probes NAME``: a sound server may hang,
and a library that this processor or system cannot load may take its process along.
"""

import importlib
import importlib.metadata
import os
import shutil
import socket
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from nodes.runtime.errors import UserError

if TYPE_CHECKING:
    from engines.store import Store

importlib.import_module("engines")  # sets what onnxruntime reads

ROOT = Path(__file__).resolve().parents[2]
PORT = 5556
SHARED_MEMORY_BYTES = 100 * 2**20  # Ray's object store at its smallest, and some
MODELS = ("speech/weights/audio", "speech/weights/video", "speech/weights/fusion", "face/weights/landmarks")
DECODERS = ("h264", "hevc", "vp9", "mjpeg", "aac", "opus", "mp3", "pcm_s16le")
MODULES = {
    "opencv-python": "cv2",
    "pyzmq": "zmq",
    "PyYAML": "yaml",
    "prometheus-client": "prometheus_client",
}
SYSTEM_LIBRARIES = {
    "portaudio": "sudo apt-get install libportaudio2",
    "libgl.so": "sudo apt-get install libgl1",
    "libgthread": "sudo apt-get install libglib2.0-0",
}


class Finding(msgspec.Struct, frozen=True):
    """remedy: what to do, empty where nothing is wrong.  needed: nothing runs without it."""

    thing: str
    found: str
    remedy: str = ""
    needed: bool = True


def python() -> list[Finding]:
    version = sys.version.split()[0]
    old = sys.version_info < (3, 11)
    return [Finding("Python", version, "install Python 3.11 or newer" if old else "")]


def packages() -> list[Finding]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [wanted.split(">")[0].split("=")[0] for wanted in project["dependencies"]]
    found = [_package(name) for name in names]
    well = ", ".join(f"{finding.thing} {finding.found}" for finding in found if not finding.remedy)
    return [Finding("packages", well), *(finding for finding in found if finding.remedy)]


def _package(name: str) -> Finding:
    needed = name != "sounddevice"  # a file or a camera alone does without
    try:
        version = importlib.metadata.version(name)
        importlib.import_module(MODULES.get(name, name))
    except (ImportError, OSError) as error:  # PackageNotFoundError is an ImportError
        remedies = [remedy for part, remedy in SYSTEM_LIBRARIES.items() if part in str(error).lower()]
        installed = not isinstance(error, importlib.metadata.PackageNotFoundError)
        found = f"does not load: {error}" if installed else "not installed"
        remedy = remedies[0] if remedies else f"{sys.executable} -m pip install --force-reinstall {name}"
        return Finding(name, found, remedy, needed)
    return Finding(name, version)


def microphones() -> list[Finding]:
    try:
        import sounddevice
    except (ImportError, OSError):
        return []  # said by ``packages``
    version = sounddevice.get_portaudio_version()[1].split(",")[0]
    names = [device["name"] for device in sounddevice.query_devices() if device["max_input_channels"] > 0]
    if not names:
        remedy = "connect one; in a container, give it /dev/snd or a PulseAudio server"
        return [Finding("microphones", f"none ({version})", remedy, needed=False)]
    return [Finding("microphones", f"{', '.join(names)} ({version})")]


def cameras(devices: Path = Path("/dev")) -> list[Finding]:
    found = sorted(devices.glob("video[0-9]*"))
    if not found:
        remedy = "connect one, or name a network camera: --camera http://..."
        return [Finding("cameras", "none", remedy, needed=False)]
    findings = []
    for device in found:
        label = Path("/sys/class/video4linux", device.name, "name")
        name = label.read_text(encoding="utf-8", errors="replace").strip() if label.exists() else ""
        allowed = os.access(device, os.R_OK | os.W_OK)
        remedy = "" if allowed else "sudo usermod -aG video $USER, then log in again"
        state = "" if allowed else "may not be opened by this user"
        findings.append(
            Finding(f"camera {device}", " ".join(filter(None, [name, state])), remedy, needed=False)
        )
    return findings


def engines() -> list[Finding]:
    import onnxruntime

    findings = [Finding("onnxruntime on", ", ".join(onnxruntime.get_available_providers()))]
    for package in ("tensorrt", "tensorrt_rtx"):
        try:
            version = importlib.metadata.version(package)
            findings.append(Finding(package, f"{version}, which this version of hearsee does not use yet"))
        except importlib.metadata.PackageNotFoundError:
            findings.append(Finding(package, "not installed: models run on the processor", needed=False))
    return findings


def models(folder: Path = ROOT / "engines") -> list[Finding]:
    from engines.engine import ModelError, open_engine
    from engines.golden import TOLERANCE, golden_error, golden_path

    restore = "git checkout -- engines"
    findings = []
    needed = [folder / f"{name}.onnx" for name in MODELS]
    for path in sorted({*needed, *folder.glob("**/weights/*.onnx")}):
        thing = f"model {path.parent.parent.name}/{path.stem}"
        try:
            error = golden_error(open_engine(path), golden_path(path))
        except ModelError as wrong:
            findings.append(Finding(thing, str(wrong), restore, path in needed))
            continue
        close = error <= TOLERANCE
        found = f"{path.stat().st_size / 1e6:.1f} MB, differs from its golden file by {error:.0e}"
        findings.append(Finding(thing, found, "" if close else restore, path in needed))
    return findings


def public_models() -> list[Finding]:
    from engines.store import open_store

    store = open_store()
    return [_public_model(store, name) for name in store.catalogue.models]


def _public_model(store: "Store", name: str) -> Finding:
    thing, model = f"model {name}", store.catalogue.models[name]
    if not (store.folder / name).is_dir():
        remedy = f"python launch.py models pull {name}" if name == "yunet" else ""
        return Finding(thing, f"not here: {model.task} does with {model.replaces}", remedy, needed=False)
    try:
        store.find(name)
    except UserError as error:
        return Finding(thing, str(error), f"python launch.py models pull {name}", needed=False)
    return Finding(thing, f"{store.folder / name}, as it should be")


def decoders() -> list[Finding]:
    import av

    lacking = [name for name in DECODERS if name not in av.codecs_available]
    if lacking:
        remedy = f"{sys.executable} -m pip install --force-reinstall av"
        return [Finding("ffmpeg decoders", f"without {', '.join(lacking)}", remedy, needed=False)]
    return [Finding("ffmpeg decoders", ", ".join(DECODERS))]


def memory(folder: Path = Path("/dev/shm")) -> list[Finding]:
    if not folder.is_dir():
        return []  # not Linux: Ray puts its store elsewhere
    free = shutil.disk_usage(folder).free
    short = free < SHARED_MEMORY_BYTES
    remedy = f"free some, or in a container: --shm-size={SHARED_MEMORY_BYTES // 2**20}m" if short else ""
    return [Finding(f"free {folder}", f"{free / 2**20:.0f} MiB", remedy)]


def port(number: int = PORT) -> list[Finding]:
    thing = f"port {number}"
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", number))
        except OSError as error:
            if _hearsee_publishes(number):
                return [Finding(thing, "hearsee is running there; a second one needs another --address")]
            remedy = "stop what uses it, or run with --address tcp://127.0.0.1:5557"
            return [Finding(thing, f"cannot be used ({error.strerror})", remedy)]
    return [Finding(thing, "free")]


def _hearsee_publishes(number: int) -> bool:
    import zmq

    with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
        subscriber.linger = 0
        subscriber.subscribe("status")
        subscriber.connect(f"tcp://127.0.0.1:{number}")
        return bool(subscriber.poll(1500)) and b'"hearsee.status/' in subscriber.recv_multipart()[-1]


PROBES: dict[str, Callable[[], list[Finding]]] = {
    probe.__name__: probe
    for probe in (
        python,
        packages,
        microphones,
        cameras,
        engines,
        models,
        public_models,
        decoders,
        memory,
        port,
    )
}

if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(PROBES[sys.argv[1]]()))
