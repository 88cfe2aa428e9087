"""Where a running hearsee is heard: a socket that subscribes to it, and its ``status``."""

from pathlib import Path
from typing import Any

import msgspec
import zmq

from nodes.outputs import keys as certificates
from nodes.outputs.address import check, from_here
from nodes.runtime.errors import UserError

Context = zmq.Context[zmq.Socket[bytes]]


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
    socket.connect(here)
    return socket


def status_in(address: str, parts: list[bytes]) -> dict[str, Any]:
    """The body of a message of topic ``status``; UserError where it is none of ours."""
    try:
        body = msgspec.json.decode(parts[-1], type=dict)
    except msgspec.MsgspecError:
        body = {}
    if not str(body.get("schema")).startswith("hearsee.status/"):
        raise UserError(f"{address}: not hearsee publishes there; check the port")
    return body
