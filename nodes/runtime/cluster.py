"""A Ray of our own for one run: small, quiet, and gone without a trace afterwards.

On this host only it listens on loopback.  Where a graph needs other hosts it meets them at an address, and
only those who have the password that ``launch.py keys`` made are let in.
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

import psutil

from nodes.outputs import keys
from nodes.runtime.actor import FOLDER_VARIABLE, KEYS_VARIABLE
from nodes.runtime.endpoint import check_own, endpoint
from nodes.runtime.errors import UserError
from nodes.runtime.graph import LOCAL, ClusterSpec

os.environ.update(
    {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DISABLE_IMPORT_WARNING": "1",
        "RAY_enable_metrics_collection": "0",
        "RAY_worker_niceness": "0",  # Ray's 15 is for batch work; ours goes by the clock
        # Ray would remember 100,000 that ended, and every call, and grow with each restart of a group.
        "RAY_maximum_gcs_destroyed_actor_cached_count": "20",
        "RAY_maximum_gcs_dead_worker_cached_count": "20",
        "RAY_task_events_report_interval_ms": "0",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on every system this makes Ray listen on loopback only
        # A token that only our processes know; without one Ray would keep a token in the user's home.
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }
)
import ray

__all__ = ["cluster_ray", "joined_ray", "private_ray", "ray", "run_folder"]

PREFIX = "hearsee-"
OBJECT_STORE_BYTES = 80 * 2**20  # Ray's least; data goes over ZeroMQ
GROUPS = 1000
"""How many groups may run on a host, as Ray counts them: each takes one of its resource."""

WORKERS = 24
"""Ports for the processes of groups; one that ends gives its port back."""


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
        _end_all(folder)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def private_ray(folder: Path, workers: int) -> Iterator[None]:
    """Ray, bound to the loopback address, its files in ``folder``, ``workers`` processes warm."""
    try:
        ray.init(
            address="local",
            num_cpus=workers,
            num_gpus=0,
            resources={LOCAL: GROUPS},
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _temp_dir=str(folder / "ray"),
        )
        _quieten(ray._private.worker._global_node)
        yield
    finally:
        ray.shutdown()


@contextmanager
def cluster_ray(folder: Path, workers: int, cluster: ClusterSpec) -> Iterator[None]:
    """Ray at the cluster's address, for others to join.  UserError for an address that cannot be had."""
    _be_member(folder, Path(cluster.keys))
    check_own(cluster.address, cluster.port)
    node = _node(folder, workers, LOCAL, cluster.address, cluster.port, None)
    try:
        _quieten(node)
        ray.init(
            address=endpoint(cluster.address, cluster.port),
            log_to_driver=False,
            logging_level=logging.ERROR,
            _node_ip_address=cluster.address,
            _temp_dir=str(folder / "ray"),
        )
        yield
    finally:
        ray.shutdown()
        _end(node)


@contextmanager
def joined_ray(
    folder: Path, name: str, own: str, head: str, port: int, folder_of_keys: Path
) -> Iterator[Any]:
    """This host, at its address ``own``, as ``name`` in the cluster at ``head``; gives its Ray process."""
    _be_member(folder, folder_of_keys)
    try:
        with _silent():
            node = _node(folder, 1, name, own, port, endpoint(head, port))
    except (Exception, SystemExit) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1][:100]
        raise UserError(
            f"{endpoint(head, port)}: cannot be joined ({reason}); {folder_of_keys}/hosts must be a copy of"
            " that host's, and the ports of both be open to each other (docs/hosts.md)"
        ) from error
    try:
        yield node.all_processes["raylet"][0].process
    finally:
        _end(node)


def _be_member(folder: Path, folder_of_keys: Path) -> None:
    """Before Ray starts: its password, and what its processes inherit."""
    keys.edge(folder_of_keys)
    os.environ["RAY_AUTH_TOKEN"] = keys.token(folder_of_keys)
    os.environ[KEYS_VARIABLE] = str(folder_of_keys.resolve())
    os.environ[FOLDER_VARIABLE] = str(folder)


def _node(folder: Path, workers: int, name: str, own: str, port: int, head: str | None) -> Any:
    """The Ray processes of one host; all its ports are fixed, so that a firewall can let them through."""
    from ray._private.node import Node
    from ray._private.parameter import RayParams

    parameters: dict[str, Any] = {
        "node_ip_address": own,
        "gcs_address": head,
        "gcs_server_port": port if head is None else None,
        "node_manager_port": port + 1,
        "object_manager_port": port + 2,
        "dashboard_agent_listen_port": port + 3,
        "metrics_agent_port": port + 4,
        "metrics_export_port": port + 5,
        "runtime_env_agent_port": port + 6,
        "min_worker_port": port + 10,
        "max_worker_port": port + 10 + WORKERS - 1,
        "num_cpus": workers,
        "num_gpus": 0,
        "resources": {name: GROUPS},
        "object_store_memory": OBJECT_STORE_BYTES,
        "include_dashboard": False,
        "include_log_monitor": False,
        "no_monitor": True,
        "temp_dir": str(folder / "ray"),
    }
    return Node(RayParams(**parameters), head=head is None, shutdown_at_exit=False, spawn_reaper=True)


@contextmanager
def _silent() -> Iterator[None]:
    """Ray complains to stderr every second while it is not let in; what is wrong is said once, by us."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _end(node: Any) -> None:
    """Ends the node's processes and all that they started; a raylet without its cluster forgets some."""
    begun = [info.process.pid for infos in node.all_processes.values() for info in infos]
    left = []
    for pid in begun:
        with suppress(psutil.NoSuchProcess):
            left += psutil.Process(pid).children(recursive=True)
    node.kill_all_processes(check_alive=False, allow_graceful=True)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _end_all(folder: Path) -> None:
    """Ends what Ray still runs with ``folder``: interrupted while it starts, it forgets what it has started,
    which would write there again."""
    for _ in range(5):  # a raylet that is not gone yet may start one more
        left = [process for process in psutil.process_iter() if _is_ours(process, folder)]
        if not left:
            return
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=0.3)


def _is_ours(process: psutil.Process, folder: Path) -> bool:
    """Whether it works in ``folder`` and was started by us: whoever else looks at a file there is not."""
    try:
        return process.pid != os.getpid() and (
            any(str(folder) in word for word in process.cmdline())
            and process.environ().get("RAY_AUTH_TOKEN") == os.environ["RAY_AUTH_TOKEN"]
        )
    except psutil.Error:
        return False


def _quieten(node: Any) -> None:
    # Ray has no settings for the following.  It would print a paragraph whenever a worker dies, which the
    # supervisor says in a line; it autoscales and reads logs for nobody, at 1 % of a core and 160 MB, and
    # the autoscaler takes a second to end.
    ray._private.worker._worker_logs_enabled = False
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
