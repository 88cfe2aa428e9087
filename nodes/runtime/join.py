"""``launch.py join``: this host as one of those that a pipeline elsewhere runs on, until Ctrl-C."""

import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from nodes.outputs import keys as certificates
from nodes.runtime.cluster import joined_ray, run_folder
from nodes.runtime.endpoint import check_own, endpoint, own_address, parse_endpoint
from nodes.runtime.errors import UserError
from nodes.runtime.graph import LOCAL, is_id
from nodes.runtime.notify import Notify

TRY_S = 1.0
AGAIN_S = 5.0
LOOK_S = 1.0
GONE_AFTER = 3  # refusals in a row: nobody is there; a cut link refuses nothing
CONNECT_S = 2.0


def join(
    head: str,
    name: str,
    keys: Path,
    own: str | None,
    tell: Callable[[str], None],
    notify: Notify | None = None,
) -> None:
    """Joins the pipeline at ``head`` (ADDRESS or ADDRESS:PORT) as ``name``, again and again, until Ctrl-C.

    own: this host's address; None for the one by which it reaches ``head``.  tell: is given a line for every
    change, and for every new reason why it cannot join now; notify: the same.  Raises UserError for an
    address, a name or keys that cannot be.
    """
    address, port = parse_endpoint(head)
    if not is_id(name) or name == LOCAL:
        raise UserError(
            f"--as {name}: a host's name is at most 32 of small letters, digits, '-', '_', and not '{LOCAL}'"
        )
    certificates.edge(keys)
    certificates.token(keys)
    notify = notify or Notify({})

    def say(line: str) -> None:
        tell(f"{line}; Ctrl-C stops")
        notify.say(line)

    told = ""
    with suppress(KeyboardInterrupt):
        notify.ready()  # to wait for the other host is what it is for
        while True:
            _on_signals(_interrupt)
            if not _answers(address, port):
                if told != "waiting":
                    told = "waiting"
                    say(f"waiting for hearsee at {endpoint(address, port)}")
                time.sleep(TRY_S)
                continue
            here = own or own_address(address, port)
            check_own(here, port)
            try:
                with run_folder() as folder, joined_ray(folder, name, here, address, port, keys) as process:
                    try:
                        _on_signals(_interrupt)  # Ray has put its own in their place
                        told = "joined"
                        say(f"joined {endpoint(address, port)} as {name}, here at {here}")
                        _stay(process, address, port)
                    finally:
                        _on_signals(_nothing)  # to leave takes two seconds at most
                tell("hearsee there has ended, or has given this host up")
            except UserError as error:  # the other side may be about to end, or to begin
                if told != str(error):
                    told = str(error)
                    tell(told)
                    notify.say(told)
                time.sleep(AGAIN_S)
    notify.stopping()


def _on_signals(act: Callable[[], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: act())


def _interrupt() -> None:
    raise KeyboardInterrupt


def _nothing() -> None:
    pass


def _stay(ray_process: Any, address: str, port: int) -> None:
    """Until our Ray has ended, or the other side has been gone for a while."""
    refused = 0
    while ray_process.poll() is None and refused < GONE_AFTER:
        time.sleep(LOOK_S)
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
