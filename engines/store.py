"""Where public models lie on this machine, and how they get there: pulled, checked, then placed whole.

``FOLDER/NAME/file`` for each file of the catalogue's model NAME.  A folder of a model appears by one rename,
after the sums of all its files were found right; ``find`` checks the sums again before anything is loaded.
Downloads under way lie in ``FOLDER/.downloads``, named by their sum, so whoever pulls the same next goes on.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from engines.catalogue import Catalogue, Known, Model, read_catalogue
from engines.fetch import Patience, fetch, forget, sha256_of
from engines.home import home
from engines.unpack import unpack
from nodes.runtime.errors import UserError

Told = Callable[[int], None]

# As long as another process may take over the same model without its download growing: it unpacks.
_LOCK_S = 600.0
_LOCK_POLL_S = 0.1


def store_folder() -> Path:
    """HEARSEE_MODELS where it is set, else ``hearsee/models`` among this user's data (XDG)."""
    if chosen := os.environ.get("HEARSEE_MODELS"):
        return Path(chosen).expanduser()
    data = os.environ.get("XDG_DATA_HOME") or home() / ".local" / "share"
    return Path(data) / "hearsee" / "models"


@dataclass(frozen=True)
class Store:
    """The models of ``catalogue`` that lie in ``folder``."""

    folder: Path
    catalogue: Catalogue

    def find(self, name: str) -> dict[str, Path]:
        """The files of a model by their names, their sums right at this moment.

        Raises UserError where it has not been pulled, and where a file is not the known one.
        """
        model = self.catalogue.model(name)
        paths = {file: self.folder / name / file for file in model.placed}
        for file, path in paths.items():
            if not path.is_file():
                raise UserError(f"{path}: not here; `python launch.py models pull {name}` brings it")
            if not _is(path, model.placed[file]):
                raise UserError(
                    f"{path}: not the known file; `python launch.py models pull {name}` restores it"
                )
        return paths

    def has(self, name: str) -> bool:
        """Whether its files are there, whatever is in them."""
        return all((self.folder / name / file).is_file() for file in self.catalogue.model(name).placed)

    def pull(
        self, name: str, mirror: str = "", told: Told = lambda bytes: None, patience: Patience | None = None
    ) -> bool:
        """Brings a model here; False where it already was.  Whoever pulls it meanwhile is waited for.

        mirror: as in the catalogue, in place of what stands there.
        told: is called with how many bytes of the download there are.
        Raises UserError; then what was there before is as it was.
        """
        model = self.catalogue.model(name)
        part = self.folder / ".downloads" / f"{model.sha256}.part"
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{self.folder}: no models can be kept there ({error.strerror})") from None
        with _held(part.with_suffix(".lock"), part):
            if self._is_right(name):
                return False
            self._check_room(model, part)
            _bring(model, mirror or self.catalogue.mirror, part, told, patience or Patience())
            self._place(name, model, part)
            forget(part)
        return True

    def _is_right(self, name: str) -> bool:
        if not self.has(name):
            return False
        try:
            self.find(name)
        except UserError:
            return False
        return True

    def _check_room(self, model: Model, part: Path) -> None:
        have = part.stat().st_size if part.exists() else 0
        unpacked = sum(known.bytes for known in model.placed.values()) if model.files else 0
        need, free = model.bytes - have + unpacked, shutil.disk_usage(self.folder).free
        if need > free:
            raise UserError(
                f"{self.folder}: {need / 1e6:.0f} MB are needed there, {free / 1e6:.0f} MB are free"
            )

    def _place(self, name: str, model: Model, download: Path) -> None:
        """Its folder appears whole, by one rename, or not at all."""
        for left_by_one_that_died in self.folder.glob(f".{name}.*"):
            shutil.rmtree(left_by_one_that_died, ignore_errors=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=self.folder))
        try:
            fresh.chmod(0o755)
            if model.files:
                unpack(download, model.files, fresh)
            else:
                os.replace(download, fresh / model.download)
            old = self.folder / name
            if old.exists():
                os.replace(old, fresh.with_suffix(".old"))
            os.replace(fresh, old)
        except OSError as error:
            raise UserError(f"{self.folder}: cannot be written ({error.strerror}); make room there") from None
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.rmtree(fresh.with_suffix(".old"), ignore_errors=True)


def open_store() -> Store:
    """The store of this machine.  Raises UserError where the catalogue is broken."""
    return Store(store_folder(), read_catalogue())


def mirror(model: Model, folder: Path, source: str, told: Told, patience: Patience | None = None) -> bool:
    """Puts a model's download into ``folder`` under its own name; False where it already was.

    source: another mirror, "" for the model's own address.  Raises UserError.
    """
    to = folder / model.download
    if to.is_file() and _is(to, model):
        return False
    part = folder / f".{model.sha256}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _held(part.with_suffix(".lock"), part):
            _bring(model, source, part, told, patience or Patience())
            os.replace(part, to)
        part.with_suffix(".lock").unlink()
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror})") from None
    return True


def _bring(model: Model, mirror: str, part: Path, told: Told, patience: Patience) -> None:
    """Completes ``part`` to the model's download, its sum checked."""
    if mirror.startswith(("http://", "https://")):
        fetch(f"{mirror.rstrip('/')}/{quote(model.download)}", model, part, told, patience)
    elif mirror:
        _copy(Path(mirror).expanduser() / model.download, model, part)
    else:
        fetch(model.url, model, part, told, patience)
    told(model.bytes)


def _copy(source: Path, known: Known, part: Path) -> None:
    try:
        forget(part)
        shutil.copyfile(source, part)
    except FileNotFoundError:
        raise UserError(
            f"{source}: the mirror has no such file; see `python launch.py models mirror`"
        ) from None
    except OSError as error:
        raise UserError(f"{source}: cannot be copied to {part.parent} ({error.strerror})") from None
    if not _is(part, known):
        forget(part)
        raise UserError(
            f"{source}: not the known file (its size or SHA-256 is another); nothing of it was kept"
        )


def _is(path: Path, known: Known) -> bool:
    return path.stat().st_size == known.bytes and sha256_of(path) == known.sha256


@contextmanager
def _held(lock: Path, part: Path) -> Iterator[None]:
    """One process at a time; the kernel frees the lock of one that dies.

    Raises UserError where another holds it for ten minutes in which ``part`` does not grow.
    """
    with lock.open("a") as file:
        size, since = -1, time.monotonic()
        while not _locked(file.fileno()):
            now_size = part.stat().st_size if part.exists() else 0
            if now_size != size:
                size, since = now_size, time.monotonic()
            elif time.monotonic() - since > _LOCK_S:
                raise UserError(f"{lock}: another process holds it and gets nowhere; stop that one first")
            time.sleep(_LOCK_POLL_S)
        yield


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
