"""What a ZeroMQ address is, and whether other machines can reach it."""

import ipaddress

from nodes.runtime.errors import UserError


def check(address: str) -> None:
    """UserError unless it is ``tcp://HOST:PORT`` or ``ipc://PATH``; libzmq takes port 99999 for 34463."""
    scheme, mark, rest = address.partition("://")
    host, _, port = rest.rpartition(":")
    if scheme == "ipc" and mark and rest:
        return
    if scheme == "tcp" and host and (port == "*" or (port.isdecimal() and 0 < int(port) < 65536)):
        return
    raise UserError(f"{address}: not an address; write it like tcp://127.0.0.1:5556 or ipc:///tmp/hearsee")


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
