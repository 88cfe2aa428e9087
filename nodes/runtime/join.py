"""``launch.py join``: this host as one of those that a pipeline elsewhere runs on, until Ctrl-C."""

import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nodes.outputs import keys as certificates
from nodes.runtime.cluster import joined_ray, run_folder
from nodes.runtime.endpoint import check_own, endpoint, own_address, parse_endpoint
from nodes.runtime.errors import UserError
from nodes.runtime.graph import LOCAL, is_id

TRY_S = 1.0
LOOK_S = 1.0
GONE_AFTER = 3  # refusals in a row: nobody is there; a cut link refuses nothing
CONNECT_S = 2.0


def join(head: str, name: str, keys: Path, own: str | None, tell: Callable[[str], None]) -> None:
    """Joins the pipeline at ``head`` (ADDRESS or ADDRESS:PORT) as ``name``, again and again, until Ctrl-C.

    own: this host's address; None for the one by which it reaches ``head``.  tell: is given a line for every
    change.  Raises UserError for an address, a name or keys that cannot be.
    """
    address, port = parse_endpoint(head)
    if not is_id(name) or name == LOCAL:
        raise UserError(
            f"--as {name}: a host's name is at most 32 of small letters, digits, '-', '_', and not '{LOCAL}'"
        )
    certificates.edge(keys)
    certificates.token(keys)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: stop.set())
    told = ""
    while not stop.is_set():
        if not _answers(address, port):
            if told != "waiting":
                told = "waiting"
                tell(f"waiting for hearsee at {endpoint(address, port)}; Ctrl-C stops")
            stop.wait(TRY_S)
            continue
        here = own or own_address(address, port)
        check_own(here, port)
        with run_folder() as folder, joined_ray(folder, name, here, address, port, keys) as ray_process:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda number, frame: stop.set())
            told = "joined"
            tell(f"joined {endpoint(address, port)} as {name}, here at {here}; Ctrl-C leaves")
            _stay(ray_process, address, port, stop)
        if not stop.is_set():
            tell("hearsee there has ended, or has given this host up")


def _stay(ray_process: Any, address: str, port: int, stop: threading.Event) -> None:
    """Until told to stop, until our Ray has ended, or the other side has been gone for a while."""
    refused = 0
    while not stop.wait(LOOK_S) and ray_process.poll() is None and refused < GONE_AFTER:
        refused = refused + 1 if _refuses(address, port) else 0


def _answers(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), CONNECT_S):
            return True
    except OSError:
        return False


def _refuses(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), LOOK_S):
            return False
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
