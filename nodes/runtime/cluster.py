"""A Ray of our own for one run: on this host only, small, quiet, and gone without a trace afterwards.

Ray reads its settings when it is imported, so whoever needs Ray takes it from here.
"""

import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

os.environ.update(
    {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DISABLE_IMPORT_WARNING": "1",
        "RAY_enable_metrics_collection": "0",
        "RAY_worker_niceness": "0",  # Ray's 15 is for batch work; ours goes by the clock
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on every system this makes Ray listen on loopback only
        # A token that only our processes know; without one Ray would keep a token in the user's home.
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }
)
import ray

__all__ = ["private_ray", "ray", "run_folder"]

PREFIX = "hearsee-"
OBJECT_STORE_BYTES = 80 * 2**20  # Ray's least; data goes over ZeroMQ


@contextmanager
def run_folder() -> Iterator[Path]:
    """A folder for the sockets and for Ray's files, ours alone, removed at the end.

    Its path is short: a socket's may have 107 characters.  Folders of runs that were killed are removed too.
    """
    root = Path("/tmp") if Path("/tmp").is_dir() else Path(tempfile.gettempdir())
    for left in root.glob(f"{PREFIX}*-*"):
        with suppress(OSError, ValueError):
            pid = int(left.name.removeprefix(PREFIX).partition("-")[0])
            if left.stat().st_uid == os.getuid() and not _alive(pid):
                shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=root))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def private_ray(folder: Path, workers: int) -> Iterator[None]:
    """Ray, bound to the loopback address, its files in ``folder``, ``workers`` processes warm."""
    try:
        _begin(folder, workers)
        yield
    finally:
        ray.shutdown()


def _begin(folder: Path, workers: int) -> None:
    ray.init(
        address="local",
        num_cpus=workers,
        num_gpus=0,
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        log_to_driver=False,
        logging_level=logging.ERROR,
        _temp_dir=str(folder / "ray"),
    )
    # Ray has no settings for the following.  It would print a paragraph whenever a worker dies, which the
    # supervisor says in a line; it autoscales and reads logs for nobody, at 1 % of a core and 160 MB, and
    # the autoscaler takes a second to end.
    ray._private.worker._worker_logs_enabled = False
    node: Any = ray._private.worker._global_node
    node.kill_monitor(check_alive=False)
    node.kill_log_monitor(check_alive=False)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
