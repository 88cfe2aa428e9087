"""Models are pulled, checked and placed whole; nothing else is ever found, whatever happens on the way."""

import bz2
import hashlib
import io
import os
import random
import signal
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from hostile_server import HostileServer
from typer.testing import CliRunner

from engines import models, store
from engines.catalogue import Catalogue, read_catalogue
from engines.fetch import Patience
from engines.store import Store
from nodes.runtime.errors import UserError

ROOT = Path(__file__).parents[2]
BRIEFLY = Patience(stall_s=10.0, tries=2, pause_s=0.0)
NET = random.Random(2).randbytes(1_000_000)
ENCODER, TOKENS = random.Random(3).randbytes(200_000), b"<blk> 0\nhello 1\n"

# What another process does: the same calls as `launch.py models pull`, with a catalogue of the test's own.
PULL = """
import sys
from pathlib import Path
from engines.catalogue import read_catalogue
from engines.store import Store
print(Store(Path(sys.argv[1]), read_catalogue(Path(sys.argv[2]))).pull("net"))
"""


def known(body):
    return {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}


def archive():
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, body in (("asr/encoder.onnx", ENCODER), ("asr/tokens.txt", TOKENS), ("asr/a.wav", b"RIFF")):
            info = tarfile.TarInfo(name)
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    return bz2.compress(made.getvalue())


ARCHIVE = archive()


@pytest.fixture
def server():
    serving = HostileServer({"/net.onnx": NET, "/asr.tar.bz2": ARCHIVE})
    yield serving
    serving.close()


@pytest.fixture
def catalogue_file(server, tmp_path):
    common = {"task": "test", "licence": "CC0", "provenance": "this test", "replaces": "nothing"}
    files = {"encoder.onnx": known(ENCODER), "tokens.txt": known(TOKENS)}
    entries = {
        "net": {**common, **known(NET), "url": server.url("/net.onnx")},
        "asr": {**common, **known(ARCHIVE), "url": server.url("/asr.tar.bz2"), "files": files},
    }
    file = tmp_path / "models.yaml"
    file.write_text(yaml.safe_dump({"models": entries}))
    return file


@pytest.fixture
def shelf(catalogue_file, tmp_path):
    return Store(tmp_path / "store", read_catalogue(catalogue_file))


def visible(folder):
    return sorted(
        str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock"
    )


def test_a_file_and_an_archive_are_placed_with_what_is_known_of_them_and_no_more(shelf, server):
    with pytest.raises(UserError, match=r"not here; `python launch\.py models pull net` brings it"):
        shelf.find("net")
    assert shelf.pull("net")
    assert shelf.pull("asr")
    assert visible(shelf.folder) == ["asr/encoder.onnx", "asr/tokens.txt", "net/net.onnx"]
    assert shelf.find("net")["net.onnx"].read_bytes() == NET
    assert {name: path.read_bytes() for name, path in shelf.find("asr").items()} == {
        "encoder.onnx": ENCODER,
        "tokens.txt": TOKENS,
    }
    server.asked.clear()
    assert not shelf.pull("net")
    assert server.asked == []


@pytest.mark.parametrize("way", ["wrong_bytes", "say_longer", "endless", "error 404", "redirect_to_a_file"])
def test_a_bad_server_leaves_what_was_there_as_it_was(shelf, server, way):
    server.ways = [way]
    with pytest.raises(UserError):
        shelf.pull("net", patience=BRIEFLY)
    assert not shelf.has("net")
    assert visible(shelf.folder) == []


def test_an_archive_with_other_content_is_never_placed(shelf, server):
    """Its own sum right, a member's wrong: the catalogue is inconsistent, and trusted in neither."""
    asr = shelf.catalogue.models["asr"]
    wrong = {**asr.files, "tokens.txt": asr.files["encoder.onnx"]}
    entry = store.Model(**{**{f: getattr(asr, f) for f in asr.__struct_fields__}, "files": wrong})
    with pytest.raises(UserError, match=r"asr\.tar\.bz2|\.part"):
        Store(shelf.folder, Catalogue(models={"asr": entry})).pull("asr")
    assert not (shelf.folder / "asr").exists()
    assert [p.name for p in shelf.folder.iterdir()] == [".downloads"]


@pytest.mark.parametrize("harm", ["flip", "cut", "empty", "swap", "folder", "gone"])
def test_a_file_that_changed_since_is_not_found_and_pulled_again(shelf, harm):
    shelf.pull("asr")
    path = shelf.folder / "asr" / "encoder.onnx"
    if harm == "gone":
        path.unlink()
    elif harm == "folder":
        path.unlink()
        path.mkdir()
    elif harm == "swap":
        path.write_bytes(TOKENS)
    else:
        path.write_bytes({"flip": b"\x00" + ENCODER[1:], "cut": ENCODER[:-1], "empty": b""}[harm])
    with pytest.raises(UserError, match="models pull asr"):
        shelf.find("asr")
    assert shelf.pull("asr")
    assert shelf.find("asr")["encoder.onnx"].read_bytes() == ENCODER


def test_a_killed_pull_goes_on_where_it_was(shelf, server, catalogue_file):
    server.ways = ["slow"]
    command = [sys.executable, "-c", PULL, str(shelf.folder), str(catalogue_file)]
    child = subprocess.Popen(command, cwd=ROOT)
    part = shelf.folder / ".downloads" / f"{shelf.catalogue.models['net'].sha256}.part"
    until(lambda: part.exists() and part.stat().st_size > 200_000)
    child.send_signal(signal.SIGKILL)
    assert child.wait(10) == -signal.SIGKILL
    kept = part.stat().st_size
    assert kept < len(NET)
    assert not shelf.has("net")
    assert shelf.pull("net")
    assert server.asked == [("/net.onnx", None), ("/net.onnx", f"bytes={kept}-")]
    assert shelf.find("net")["net.onnx"].read_bytes() == NET


def test_what_a_pull_that_died_while_unpacking_left_is_removed(shelf):
    left = shelf.folder / ".asr.x1y2z3"
    left.mkdir(parents=True)
    (left / "encoder.onnx").write_bytes(ENCODER[:100])
    shelf.pull("asr")
    assert visible(shelf.folder) == ["asr/encoder.onnx", "asr/tokens.txt"]


def test_two_pulls_at_once_fetch_once(shelf, server, catalogue_file):
    server.ways = ["slow"]
    command = [sys.executable, "-c", PULL, str(shelf.folder), str(catalogue_file)]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = sorted(child.communicate(timeout=30)[0].strip() for child in both)
    assert said == ["False", "True"]
    assert server.asked == [("/net.onnx", None)]


def test_whoever_waits_for_a_pull_that_gets_nowhere_is_told(shelf, monkeypatch):
    monkeypatch.setattr(store, "_LOCK_S", 0.3)
    part = shelf.folder / ".downloads" / f"{shelf.catalogue.models['net'].sha256}.part"
    part.parent.mkdir(parents=True)
    with store._held(part.with_suffix(".lock"), part), pytest.raises(UserError, match="gets nowhere"):
        shelf.pull("net")


def test_a_mirror_folder_serves_a_machine_without_internet(shelf, server, tmp_path):
    folder = tmp_path / "stick"
    for model in shelf.catalogue.models.values():
        assert store.mirror(model, folder, "", lambda have: None, BRIEFLY)
        assert not store.mirror(model, folder, "", lambda have: None, BRIEFLY)
    assert sorted(p.name for p in folder.iterdir()) == ["asr.tar.bz2", "net.onnx"]
    server.close()
    assert shelf.pull("net", str(folder))
    away = Store(shelf.folder, Catalogue(models=shelf.catalogue.models, mirror=str(folder)))
    assert away.pull("asr")
    assert visible(shelf.folder) == ["asr/encoder.onnx", "asr/tokens.txt", "net/net.onnx"]


def test_a_mirror_is_believed_no_more_than_a_server(shelf, server, tmp_path):
    with pytest.raises(UserError, match="the mirror has no such file"):
        shelf.pull("net", str(tmp_path))
    (tmp_path / "net.onnx").write_bytes(NET[:-1] + b"!")
    with pytest.raises(UserError, match="not the known file"):
        shelf.pull("net", str(tmp_path))
    assert visible(shelf.folder) == []
    assert server.asked == []
    server.files["/lan/net.onnx"] = NET
    assert shelf.pull("net", server.url("/lan/"))


def test_a_full_disk_is_told_before_anything_is_asked(shelf, server, monkeypatch):
    monkeypatch.setattr(store.shutil, "disk_usage", lambda folder: Usage(100_000))
    with pytest.raises(UserError, match="1 MB are needed there, 0 MB are free"):
        shelf.pull("net")
    assert server.asked == []


class Usage(NamedTuple):
    free: int


def until(done, seconds=20.0):
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


@pytest.fixture
def command(shelf, monkeypatch):
    monkeypatch.setattr(models, "open_store", lambda: shelf)

    def run(*words):
        ran = CliRunner().invoke(models.app, list(words), env={"COLUMNS": "160"})
        return ran

    return run


def test_the_commands_as_a_user_meets_them(command, shelf, tmp_path):
    assert "net" in command("list").output
    assert "net: not here" in command("verify").output
    pulled = command("pull", "net", "asr")
    assert pulled.exit_code == 0
    assert "licence CC0. this test" in pulled.output
    assert f"net: checked and placed: {shelf.folder / 'net'}" in pulled.output
    assert "already here" in command("pull", "net").output
    assert command("verify").exit_code == 0
    (shelf.folder / "net" / "net.onnx").write_bytes(b"")
    wrong = command("verify")
    assert (wrong.exit_code, "models pull net` restores it" in wrong.output) == (1, True)
    assert command("verify", "asr").exit_code == 0
    mirrored = command("mirror", str(tmp_path / "stick"), "asr")
    assert f"--mirror {tmp_path / 'stick'}" in mirrored.output
    assert (tmp_path / "stick" / "asr.tar.bz2").read_bytes() == ARCHIVE


def test_offline_is_one_line_and_exit_status_2(tmp_path):
    ran = subprocess.run(
        [sys.executable, "launch.py", "models", "pull", "yunet", "--mirror", "http://127.0.0.1:9/"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "HEARSEE_MODELS": str(tmp_path)},
        timeout=60,
    )
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: 127.0.0.1:9: cannot be reached (Connection refused)")
    assert len(ran.stderr.splitlines()) == 1


def test_the_catalogue_that_ships_is_complete():
    shipped = read_catalogue()
    assert {"yunet", "zipformer-en-20m", "zipformer-en-70m", "emotieff-b0"} <= shipped.models.keys()
    sums = [k.sha256 for m in shipped.models.values() for k in [m, *m.files.values()] if k.bytes > 10_000]
    assert len(set(sums)) == len(sums)
    assert all(model.url.startswith("https://") for model in shipped.models.values())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sha256": ...}, "missing required field sha256"),
        ({"sha256": "unknown"}, "Expected str matching regex"),
        ({"bytes": 0}, "Expected int >= 1"),
        ({"url": "ftp://example.org/x"}, "Expected str matching regex"),
        ({"licence": ""}, "Expected str of length >= 1"),
        ({"files": {"../x": known(b"x")}}, "Expected str matching regex"),
        ({"colour": "red"}, "unknown field colour"),
    ],
)
def test_an_entry_without_a_sum_or_with_nonsense_is_refused(catalogue_file, change, says):
    content = yaml.safe_load(catalogue_file.read_text())
    entry = {**content["models"]["net"], **change}
    content["models"]["net"] = {key: value for key, value in entry.items() if value is not ...}
    catalogue_file.write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match=r"models\.yaml: models\.net: ") as error:
        read_catalogue(catalogue_file)
    assert says in str(error.value)


def test_pulls_in_threads_of_one_process_take_turns_too(shelf, server):
    server.ways = ["slow"]
    came = []
    threads = [threading.Thread(target=lambda: came.append(shelf.pull("net"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(came) == [False, True]
    assert len(server.asked) == 1
