"""The folder of recordings: what they are called, and which have to go."""

import fcntl
import os
import re
import shutil
import time
from pathlib import Path

from nodes.outputs.mcap_file import PART
from nodes.runtime.errors import UserError

_NAME = re.compile(r"hearsee-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}Z\.mcap")


class Shelf:
    """Recordings in ``folder``, which is made where it is not there; files of other names are left alone.

    Raises UserError where the folder cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            why = os.strerror(error.errno or 0).lower()
            raise UserError(f"{folder}: cannot be recorded to: {why}; name another folder") from error
        if not os.access(folder, os.W_OK | os.X_OK):
            raise UserError(f"{folder}: may not be written to; change its permissions or name another folder")

    def new(self) -> Path:
        """The path of the next recording, by the time it is now."""
        seconds, ns = divmod(time.time_ns(), 1_000_000_000)
        stamp = time.strftime("%Y-%m-%dT%H-%M-%S", time.gmtime(seconds))
        return self.folder / f"hearsee-{stamp}.{ns // 1_000_000:03}Z.mcap"

    def finished(self) -> list[Path]:
        """The oldest first."""
        return sorted(path for path in self.folder.iterdir() if _NAME.fullmatch(path.name))

    def make_room(self, budget: int) -> None:
        """Removes the oldest finished recordings until the rest is at most ``budget`` bytes."""
        sizes = {path: path.stat().st_size for path in self.finished()}
        total = sum(sizes.values())
        for path, size in sizes.items():
            if total <= budget:
                return
            path.unlink(missing_ok=True)
            total -= size

    def free_bytes(self) -> int:
        return shutil.disk_usage(self.folder).free

    def adopt(self) -> None:
        """Gives their name to the recordings of a process that died while it wrote them."""
        for part in self.folder.glob(f"*.mcap{PART}"):
            whole = part.with_suffix("")
            if not _NAME.fullmatch(whole.name) or whole.exists():
                continue
            try:
                with part.open("rb") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if part.stat().st_size:
                        part.rename(whole)
                    else:
                        part.unlink()
            except OSError:  # locked: it is being written
                continue
