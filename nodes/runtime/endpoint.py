"""Where hosts meet: an address and the first of its ports, as a person writes them; are they ours?"""

import socket

from nodes.runtime.errors import UserError
from nodes.runtime.graph import FIRST_PORT, PORTS


def endpoint(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def check_own(address: str, port: int) -> None:
    """UserError unless this host can listen at ``address``."""
    try:
        family, kind, _, _, where = socket.getaddrinfo(
            address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except socket.gaierror:
        raise UserError(f"{address}: not an address; give one in figures, like 192.168.1.10") from None
    except OSError as error:
        wrong = (error.strerror or str(error)).lower()
        raise UserError(
            f"{endpoint(address, port)}: cannot be used ({wrong}); give an address of this host, `ip address`"
            " shows them, and a port that is free"
        ) from None


def parse_endpoint(where: str) -> tuple[str, int]:
    """ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT in two; UserError where it is none."""
    address, colon, port = where.rpartition(":")
    if not colon or (":" in address and not where.startswith("[")):
        address, port = where, str(FIRST_PORT)
    if where.startswith("[") and where.endswith("]"):
        address, port = where, str(FIRST_PORT)
    if not address or not port.isdecimal() or not 1024 <= int(port) <= 65536 - PORTS:
        raise UserError(f"{where}: not an address; write it like 192.168.1.10 or 192.168.1.10:{FIRST_PORT}")
    return address.strip("[]"), int(port)


def own_address(address: str, port: int) -> str:
    """By which this host reaches ``address``; UserError where there is no way."""
    try:
        family = socket.getaddrinfo(address, port, type=socket.SOCK_DGRAM)[0][0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, port))  # sends nothing
            return str(probe.getsockname()[0])
    except OSError as error:
        wrong = (error.strerror or str(error)).lower()
        raise UserError(
            f"{address}: no way there ({wrong}); check the network, or give this host's address with --own"
        ) from None
