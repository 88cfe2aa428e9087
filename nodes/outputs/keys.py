"""Who may read what leaves this machine: a folder of CURVE certificates (ZeroMQ RFC 26).

``server.key_secret`` stays with the publisher.  Every other ``*.key`` in the folder is a subscriber that may
connect; it takes copies of ``server.key`` and its own ``NAME.key_secret`` with it.  Made by
``python -m nodes.outputs.keys FOLDER``.
"""

import sys
from pathlib import Path

from zmq.auth import create_certificates, load_certificate

from nodes.runtime.errors import UserError

KEY_LENGTH = 40  # Z85 characters of 32 bytes


def make(folder: Path) -> None:
    """Makes keys for a publisher (``server``) and one subscriber (``client``), unless there are some."""
    if (folder / "server.key_secret").exists():
        raise UserError(
            f"{folder}: has keys already; delete them first if every subscriber is to get new ones"
        )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("server", "client"):
            create_certificates(folder, name)
            (folder / f"{name}.key_secret").chmod(0o600)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot write keys there ({error.strerror}); name another folder"
        ) from error


def public(folder: Path, name: str) -> bytes:
    return _load(folder / f"{name}.key")[0]


def pair(folder: Path, name: str) -> tuple[bytes, bytes]:
    """Public and secret key of ``name``."""
    public_key, secret_key = _load(folder / f"{name}.key_secret")
    return public_key, secret_key


def _load(file: Path) -> tuple[bytes, bytes]:
    """Public and, from a ``key_secret`` file, secret key."""
    try:
        public_key, secret_key = load_certificate(file)
    except (OSError, ValueError):
        public_key, secret_key = b"", None
    wanted = (public_key, secret_key) if file.suffix == ".key_secret" else (public_key,)
    if any(key is None or len(key) != KEY_LENGTH for key in wanted):
        raise UserError(
            f"{file}: no such key, or damaged; make keys with `python -m nodes.outputs.keys keys`"
        )
    return public_key, secret_key or b""


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m nodes.outputs.keys FOLDER")
    try:
        make(Path(sys.argv[1]))
    except UserError as error:
        sys.exit(str(error))
    print(
        f"{sys.argv[1]}: server.key_secret stays here; a subscriber copies server.key and client.key_secret"
    )
