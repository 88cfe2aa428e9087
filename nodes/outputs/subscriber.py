"""Where a running hearsee is heard: a socket that subscribes to it, and its ``status``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import zmq

from nodes.outputs import keys as certificates
from nodes.outputs.address import check, from_here
from nodes.outputs.bodies import BODIES, Common
from nodes.runtime.errors import UserError

Context = zmq.Context[zmq.Socket[bytes]]

LONGEST_BODY = 2**20  # bytes; ours have some thousands


def subscribe(context: Context, address: str, topics: list[str] | tuple[str, ...], keys: str = "") -> Any:
    """A SUB socket on what is published at ``address``, as the publisher binds it.

    keys: folder with ``server.key`` and ``client.key_secret``, where the publisher has keys.
    Raises UserError for an address that nobody can connect to, and for keys that are not there.
    """
    check(address)
    here = from_here(address)
    own = certificates.pair(Path(keys), "client") if keys else None
    server = certificates.public(Path(keys), "server") if keys else None
    socket = context.socket(zmq.SUB)  # from here on nothing fails, so whoever asked closes it
    socket.linger = 0
    if own and server:
        (socket.curve_publickey, socket.curve_secretkey), socket.curve_serverkey = own, server
    for topic in topics:
        socket.subscribe(topic)
    socket.setsockopt(zmq.RECONNECT_IVL, 20)
    socket.setsockopt(zmq.MAXMSGSIZE, LONGEST_BODY)
    socket.connect(here)
    return socket


def read(address: str, parts: Sequence[bytes]) -> tuple[str, dict[str, Any]]:
    """Topic and body of what was published; what a body of its topic must have, it has.

    Raises UserError with ``address`` where something else than hearsee publishes there.
    """
    try:
        topic, text = parts
        name = topic.decode()
        body = msgspec.json.decode(text, type=dict)
        msgspec.convert(body, BODIES.get(name, Common))
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError) as error:
        shown = bytes(parts[0][:40]) if parts else b""
        raise UserError(f"{address}: not hearsee publishes there ({shown!r}); check the port") from error
    return name, body


def status_in(address: str, parts: Sequence[bytes]) -> dict[str, Any]:
    """The body of a message of topic ``status``; UserError where it is none of ours."""
    topic, body = read(address, parts)
    if topic != "status":
        raise UserError(f"{address}: not hearsee publishes there ({topic[:40]!r}); check the port")
    return body
