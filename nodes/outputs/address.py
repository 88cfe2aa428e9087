"""What a ZeroMQ address is, whether other machines can reach it, and how this machine does."""

import ipaddress

from nodes.runtime.errors import UserError

USUAL = "tcp://127.0.0.1:5556"
"""Where hearsee publishes unless told otherwise: only this machine can reach it."""


def check(address: str) -> None:
    """UserError unless it is ``tcp://HOST:PORT`` or ``ipc://PATH``; libzmq takes port 99999 for 34463."""
    scheme, mark, rest = address.partition("://")
    host, _, port = rest.rpartition(":")
    if scheme == "ipc" and mark and rest:
        return
    if (
        scheme == "tcp"
        and host
        and (port == "*" or (port.isdecimal() and len(port) < 6 and 0 < int(port) < 65536))
    ):
        return
    raise UserError(f"{address}: not an address; write it like {USUAL} or ipc:///tmp/hearsee")


def is_local(address: str) -> bool:
    """True when only this machine can reach it."""
    scheme, _, rest = address.partition("://")
    if scheme == "ipc":
        return True
    host = rest.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def from_here(address: str) -> str:
    """Where a subscriber on this machine connects to what is bound at ``address``.

    UserError where the port is left to chance (``*``): then nobody knows where to connect.
    """
    scheme, _, rest = address.partition("://")
    if scheme != "tcp":
        return address
    host, _, port = rest.rpartition(":")
    if port == "*":
        raise UserError(f"{address}: nobody can know this port; give its number, like {USUAL}")
    everywhere = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}
    return f"tcp://{everywhere.get(host, host)}:{port}"
