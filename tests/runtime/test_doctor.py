"""The doctor on this machine, and on machines with something broken for real."""

import ctypes.util
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from engines import store
from engines.catalogue import read_catalogue
from nodes.outputs.publish import Publish
from nodes.runtime import doctor, probes
from nodes.runtime.node import Context

pytestmark = pytest.mark.live

ROOT = Path(__file__).parents[2]


def only(findings):
    [finding] = findings
    return finding


@pytest.fixture
def weights(tmp_path):
    """A copy of the engines' weights that a test may break."""
    for name in probes.MODELS:
        for suffix in (".onnx", ".golden.npz"):
            target = tmp_path / f"{name}{suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / "engines" / f"{name}{suffix}", target)
    return tmp_path


def test_it_looks_at_everything_says_a_verdict_and_exits_with_it():
    ran = subprocess.run(
        [sys.executable, "launch.py", "doctor"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    for thing in (
        "Python",
        "packages",
        "microphones",
        "camera",
        "onnxruntime on",
        "tensorrt",
        "model speech/",
    ):
        assert thing in ran.stdout
    for thing in ("model yunet", "ffmpeg decoders", "free /dev/shm", "port 5556"):
        assert thing in ran.stdout
    assert ("hearsee can run" in ran.stdout, "hearsee cannot run" in ran.stdout) == (
        ran.returncode == 0,
        ran.returncode == 1,
    )
    assert ran.stderr == ""


def test_a_missing_package_is_told_with_its_installation(monkeypatch, tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        '[project]\ndependencies = ["numpy>=1.26", "hearsee-no-such>=2"]\n'
    )
    monkeypatch.setattr(probes, "ROOT", tmp_path)
    well, missing = probes.packages()
    assert well.found == f"numpy {np.__version__}"
    assert (missing.thing, missing.found) == ("hearsee-no-such", "not installed")
    assert "pip install" in missing.remedy
    assert missing.needed


def test_missing_portaudio_is_told_with_its_package_and_does_not_stop_anything(monkeypatch):
    """sounddevice itself looks for the library and finds none."""
    for name in [name for name in sys.modules if name in ("sounddevice", "_sounddevice")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    missing = only([finding for finding in probes.packages() if finding.thing == "sounddevice"])
    assert missing.remedy == "sudo apt-get install libportaudio2"
    assert not missing.needed
    assert probes.microphones() == []


def test_no_camera_is_told_and_stops_nothing(tmp_path):
    finding = only(probes.cameras(tmp_path))
    assert (finding.thing, finding.found, finding.needed) == ("cameras", "none", False)


def test_a_camera_that_this_user_may_not_open_is_told_with_the_group(tmp_path):
    (tmp_path / "video0").touch(mode=0o600)
    tmp_path.chmod(0o755)
    assert only(probes.cameras(tmp_path)).remedy == ""
    if os.getuid() != 0:
        (tmp_path / "video0").chmod(0o000)
        findings = probes.cameras(tmp_path)
    else:
        # Root may open everything: look as somebody else, in a process that gives root up.
        shared = Path(shutil.copytree(tmp_path, f"/tmp/hearsee-test-{os.getpid()}"))
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.setgid(65534)
            os.setuid(65534)
            os.write(writer, probes.msgspec.json.encode(probes.cameras(shared)))
            os._exit(0)
        os.waitpid(child, 0)
        findings = probes.msgspec.json.decode(os.read(reader, 4096), type=list[probes.Finding])
        shutil.rmtree(shared)
    finding = only(findings)
    assert finding.found == "may not be opened by this user"
    assert "usermod -aG video" in finding.remedy
    assert not finding.needed


def test_models_reproduce_their_golden_files(weights):
    findings = probes.models(weights)
    assert [finding.thing for finding in findings] == [
        "model face/landmarks",
        "model speech/audio",
        "model speech/fusion",
        "model speech/video",
    ]
    assert all(not finding.remedy for finding in findings)


@pytest.mark.parametrize("file", ["speech/weights/audio.onnx", "speech/weights/audio.golden.npz"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut"])
def test_a_model_that_is_missing_or_damaged_is_told(weights, file, damage):
    path = weights / file
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
    broken = [finding for finding in probes.models(weights) if finding.remedy]
    assert only(broken).thing == "model speech/audio"
    assert str(path) in only(broken).found
    assert (only(broken).remedy, only(broken).needed) == ("git checkout -- engines", True)
    assert "\n" not in only(broken).found


@pytest.mark.parametrize("change", [0.01, np.nan])
def test_a_model_that_computes_something_else_is_told(weights, change):
    path = weights / "speech/weights/audio.golden.npz"
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    changed = next(name for name in arrays if name.startswith("out."))
    arrays[changed] = arrays[changed].copy()
    arrays[changed].flat[0] += change
    np.savez(path, **arrays)
    broken = [finding for finding in probes.models(weights) if finding.remedy]
    assert only(broken).thing == "model speech/audio"
    assert "differs from its golden file" in only(broken).found


def test_a_public_model_is_missing_damaged_or_as_it_should_be(monkeypatch, tmp_path):
    monkeypatch.setenv("HEARSEE_MODELS", str(tmp_path))

    def found():
        return next(finding for finding in probes.public_models() if finding.thing == "model yunet")

    assert (found().needed, found().remedy) == (False, "python launch.py models pull yunet")
    [file] = read_catalogue().models["yunet"].placed
    (tmp_path / "yunet").mkdir()
    (tmp_path / "yunet" / file).write_bytes(b"not the known file")
    assert "not the known file" in found().found
    assert found().remedy == "python launch.py models pull yunet"
    monkeypatch.setattr(store, "_is", lambda path, known: True)  # as if its sum were right
    assert (found().remedy, found().found) == ("", f"{tmp_path / 'yunet'}, as it should be")


def test_a_port_in_use_is_told_and_one_that_hearsee_uses_is_well():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        finding = only(probes.port(taken.getsockname()[1]))
        assert (bool(finding.remedy), finding.needed) == (True, True)
    publisher = Publish(address="tcp://127.0.0.1:*")
    publisher.open(Context(name="publish"))
    end = threading.Event()

    def run():
        while not end.wait(0.02):
            publisher.step([])

    thread = threading.Thread(target=run)
    thread.start()
    try:
        finding = only(probes.port(int(publisher.address.rpartition(":")[2])))
        assert finding.found.startswith("hearsee is running there")
    finally:
        end.set()
        thread.join()
        publisher.close()
    assert only(probes.port(int(publisher.address.rpartition(":")[2]))).found == "free"


def test_little_shared_memory_is_told(monkeypatch, tmp_path):
    assert only(probes.memory(tmp_path)).found.endswith("MiB")
    monkeypatch.setattr(probes, "SHARED_MEMORY_BYTES", 2**60)
    assert "--shm-size" in only(probes.memory(tmp_path)).remedy


def test_a_probe_that_hangs_or_dies_is_a_finding_and_holds_nobody_up(monkeypatch):
    codes = {"microphones": "import time; time.sleep(60)", "engines": "import os; os.abort()"}

    def start(name):
        return subprocess.Popen(
            [sys.executable, "-c", codes[name]], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    monkeypatch.setattr(doctor, "_start", start)
    monkeypatch.setattr(doctor, "DEADLINE_S", 1.0)
    begun = time.monotonic()
    hung, dead = doctor.examine(["microphones", "engines"])
    assert time.monotonic() - begun < 5.0
    assert (hung.found, hung.needed) == ("no answer within 1 s", False)
    assert (dead.found, dead.needed) == ("cannot be looked at: signal 6", True)


@pytest.mark.parametrize(
    ("findings", "status", "words"),
    [
        ([probes.Finding("cameras", "none", "connect one", needed=False)], 0, "hearsee can run"),
        ([probes.Finding("ray", "not installed", "pip install ray")], 1, "hearsee cannot run yet: ray"),
    ],
)
def test_only_what_is_needed_makes_it_fail(monkeypatch, capsys, findings, status, words):
    monkeypatch.setattr(doctor, "examine", lambda: findings)
    assert doctor.doctor() == status
    said = capsys.readouterr().out
    assert words in said
    assert f"-> {findings[0].remedy}" in said
