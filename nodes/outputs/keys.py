"""Who may read what leaves this machine: a folder of CURVE certificates (ZeroMQ RFC 26).

``server.key_secret`` stays with the publisher.  Every other ``*.key`` in the folder is a subscriber that may
connect; it takes copies of ``server.key`` and its own ``NAME.key_secret`` with it.  Made by
``python -m nodes.outputs.keys FOLDER``.
"""

import os
import stat
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
        before = os.umask(0o077)  # a secret is never readable, not even before its mode could be changed
        try:
            for name in ("server", "client"):
                create_certificates(folder, name)
        finally:
            os.umask(before)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot write keys there ({error.strerror}); name another folder"
        ) from error


def public(folder: Path, name: str) -> bytes:
    return _load(folder / f"{name}.key")[0]


def known(folder: Path) -> set[bytes]:
    """Public keys of all who may connect.  One that is put there later counts from the next start."""
    return {_load(file)[0] for file in folder.glob("*.key")}


def pair(folder: Path, name: str) -> tuple[bytes, bytes]:
    """Public and secret key of ``name``."""
    public_key, secret_key = _load(folder / f"{name}.key_secret")
    return public_key, secret_key


def _load(file: Path) -> tuple[bytes, bytes]:
    """Public and, from a ``key_secret`` file, secret key.

    UserError where it is missing, damaged, or not kept to its owner: a secret that others can read is none,
    and whoever may write into the folder lets in whom they like.
    """
    try:
        public_key, secret_key = load_certificate(file)
    except (OSError, ValueError, IndexError):  # it splits lines at an = that may not be there
        public_key, secret_key = b"", None
    wanted = (public_key, secret_key) if file.suffix == ".key_secret" else (public_key,)
    if any(key is None or len(key) != KEY_LENGTH for key in wanted):
        raise UserError(
            f"{file}: no such key, or damaged; make keys with `python -m nodes.outputs.keys keys`"
        )
    _check_kept(file.parent, stat.S_IWGRP | stat.S_IWOTH, "others may add keys to it", "go-w")
    if file.suffix == ".key_secret":
        _check_kept(file, stat.S_IRWXG | stat.S_IRWXO, "others may read this secret", "go-rwx")
    return public_key, secret_key or b""


def _check_kept(path: Path, bits: int, wrong: str, remedy: str) -> None:
    if (mode := path.stat().st_mode) & bits:
        raise UserError(
            f"{path}: {wrong} (mode {stat.S_IMODE(mode):04o}); run `chmod {remedy} {path}`, and make new"
            " keys if somebody may have done so"
        )


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
