"""Where hosts meet: an address and the first of its ports, as a person writes them; are they ours?"""

import socket
from urllib.parse import urlsplit

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


def numeric(address: str) -> tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]:
    """Of ``tcp://ADDRESS:PORT`` or ``udp://ADDRESS:PORT``, the address in figures, what a socket wants."""
    parts = urlsplit(address)
    family, _, _, _, where = socket.getaddrinfo(parts.hostname, parts.port, flags=socket.AI_NUMERICHOST)[0]
    return family, where  # type: ignore[return-value]


def bound(address: str, kind: socket.SocketKind) -> socket.socket:
    """A socket at such an address; UserError where it cannot be had."""
    family, where = numeric(address)
    made = socket.socket(family, kind)
    try:
        if kind == socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(where)
    except OSError as error:
        made.close()
        raise UserError(
            f"{address}: cannot be used ({(error.strerror or str(error)).lower()}); it must be an address of"
            " this host, and its port free"
        ) from error
    return made


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
