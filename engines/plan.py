"""Plans on disk: compiled once for a model and a machine, and never loaded where anything is not as it was.

One file a plan, ``NAME.DIGEST.plan``: a line that says what it is, a line of JSON with the whole key, the
length and the checksum of what follows, then what follows.  It appears under its name only when it is whole.
A file that is cut, changed, of another version or another machine is no plan: it is built again.
"""

import fcntl
import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from engines.engine import ModelError
from engines.home import home

log = logging.getLogger(__name__)

MAGIC = b"hearsee plan 1\n"
KEPT = 48  # plan files; beyond that the longest unused go
LOCK_S = 600.0
POLL_S = 0.05
LONGEST_HEADER = 65_536


@dataclass(frozen=True)
class Key:
    """What a plan depends on.  A change of any of it is another plan.

    model: SHA-256 of the ONNX file.  shapes: of each input, by name.  precision: see ``engines.variant``.
    library, version: what compiled it.  capability: what it was compiled for, "sm_89" or "cpu".
    recipe: SHA-256 of the sources that turn a model into its variant.
    """

    model: str
    shapes: dict[str, list[int]]
    precision: str
    library: str
    version: str
    capability: str
    recipe: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def plan_folder() -> Path:
    """``$HEARSEE_PLANS``, else where this user's caches are."""
    if named := os.environ.get("HEARSEE_PLANS"):
        return Path(named)
    caches = os.environ.get("XDG_CACHE_HOME") or home() / ".cache"
    return Path(caches) / "hearsee" / "plans"


def plan_path(folder: Path, name: str, key: Key) -> Path:
    return folder / f"{name}.{key.digest[:16]}.plan"


def read_plan(path: Path, key: Key) -> bytes | None:
    """The plan, or None where there is none that is whole and of this very key; the reason is logged."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        log.warning("%s: cannot be read (%s); building it again", path, error.strerror)
        return None
    plan, reason = _unpack(data, key)
    if plan is None:
        log.warning("%s: %s; building it again", path, reason)
    return plan


def _unpack(data: bytes, key: Key) -> tuple[bytes | None, str]:
    if not data.startswith(MAGIC):
        return None, "is no plan of ours"
    end = data.find(b"\n", len(MAGIC), len(MAGIC) + LONGEST_HEADER)
    try:
        header = json.loads(data[len(MAGIC) : end]) if end > 0 else None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        return None, "its header is damaged"
    if header.get("key") != asdict(key):
        return None, "was built for something else"
    plan = data[end + 1 :]
    if header.get("bytes") != len(plan):
        return None, "is cut short"
    if header.get("sha256") != hashlib.sha256(plan).hexdigest():
        return None, "is damaged"
    return plan, ""


def write_plan(path: Path, key: Key, plan: bytes) -> None:
    """Raises ModelError where the folder cannot be written to."""
    header = {"key": asdict(key), "bytes": len(plan), "sha256": hashlib.sha256(plan).hexdigest()}
    write_whole(path, MAGIC + json.dumps(header).encode() + b"\n" + plan)
    _forget_old(path.parent)


def write_whole(path: Path, data: bytes) -> None:
    """The file has its old content or the new one, whatever happens in between."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        except BaseException:
            os.unlink(part)
            raise
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be written ({error.strerror}); set HEARSEE_PLANS to a folder that can"
        ) from error


def _forget_old(folder: Path) -> None:
    def used(path: Path) -> float:
        try:
            return path.stat().st_mtime
        except OSError:  # another process has just removed it
            return 0.0

    for path in sorted(folder.glob("*.plan"), key=used, reverse=True)[KEPT:]:
        for left in (path, proof_path(path), path.with_suffix(".lock")):
            left.unlink(missing_ok=True)


def proof_path(plan: Path) -> Path:
    return plan.with_suffix(".proof")


def obtain_plan(path: Path, key: Key, build: Callable[[], bytes], wait_s: float = LOCK_S) -> bytes:
    """The plan at ``path``; where there is none, ``build`` makes it, in one process at a time.

    Whoever comes second waits for the first and takes what it built.  Raises ModelError after ``wait_s``.
    """
    if (plan := read_plan(path, key)) is None:
        with locked(path.with_suffix(".lock"), wait_s):
            if (plan := read_plan(path, key)) is None:
                plan = build()
                write_plan(path, key, plan)
    path.touch()
    return plan


@contextmanager
def locked(path: Path, wait_s: float) -> Iterator[None]:
    """Holds the lock file; the system frees it when its holder dies.  ModelError after ``wait_s``."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be written ({error.strerror}); set HEARSEE_PLANS to a folder that can"
        ) from error
    with file:
        end = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise ModelError(
                        f"{path}: another process has been building this plan for {wait_s:.0f} s; end it"
                    ) from None
                time.sleep(POLL_S)
        yield
