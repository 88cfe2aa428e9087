"""Who may read what leaves this machine, and which hosts belong together: a folder of CURVE certificates.

CURVE is ZeroMQ's encryption (RFC 26).  ``server.key_secret`` stays with the publisher.  Every other ``*.key``
in the folder is a subscriber that may connect; it takes copies of ``server.key`` and its own
``NAME.key_secret`` with it.

The folder ``hosts`` in it is for the hosts of one pipeline, who all have a copy of it: ``edge.key_secret``,
the key of whatever goes between them, and ``ray.token``, the password of their Ray.  Whoever has these is one
of the hosts: he can run programs on all of them.

Made by ``launch.py keys FOLDER``.
"""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zmq.auth import create_certificates, load_certificate

from nodes.runtime.errors import UserError

KEY_LENGTH = 40  # Z85 characters of 32 bytes
HOSTS = "hosts"
EDGE = "edge"
TOKEN = "ray.token"
TOKEN_LENGTH = 64  # hexadecimal digits of 32 bytes
MAKE = "python launch.py keys"


def make(folder: Path) -> list[str]:
    """Makes keys for a publisher (``server``), a subscriber (``client``) and the hosts, where there are none.

    Returns what each is for, a line each; UserError where all are there already.
    """
    hosts = folder / HOSTS
    made = []
    try:
        with _for_the_owner_only():
            if not (folder / "server.key_secret").exists():
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                for name in ("server", "client"):
                    create_certificates(folder, name)
                made.append(
                    f"{folder}: server.key_secret stays; a subscriber takes server.key, client.key_secret"
                )
            if not (hosts / TOKEN).exists():
                hosts.mkdir(mode=0o700, exist_ok=True)
                create_certificates(hosts, EDGE)
                (hosts / TOKEN).write_text(secrets.token_hex(TOKEN_LENGTH // 2))
                made.append(
                    f"{hosts}: copy this folder, by a way nobody else can read, to every host that joins"
                )
    except OSError as error:
        raise UserError(
            f"{folder}: cannot write keys there ({error.strerror}); name another folder"
        ) from error
    if not made:
        raise UserError(
            f"{folder}: has keys already; delete them first if every subscriber and host is to get new ones"
        )
    return made


def public(folder: Path, name: str) -> bytes:
    return _load(folder / f"{name}.key")[0]


def known(folder: Path) -> set[bytes]:
    """Public keys of all who may connect.  One that is put there later counts from the next start."""
    return {_load(file)[0] for file in folder.glob("*.key")}


def pair(folder: Path, name: str) -> tuple[bytes, bytes]:
    """Public and secret key of ``name``."""
    public_key, secret_key = _load(folder / f"{name}.key_secret")
    return public_key, secret_key


def edge(folder: Path) -> tuple[bytes, bytes]:
    """Public and secret key of what goes between the hosts who share ``folder``."""
    return pair(folder / HOSTS, EDGE)


def token(folder: Path) -> str:
    """The password of the hosts' Ray."""
    file = folder / HOSTS / TOKEN
    try:
        found = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        found = ""
    if len(found) != TOKEN_LENGTH or set(found) - set("0123456789abcdef"):
        raise UserError(
            f"{file}: no such password, or damaged; make one with `{MAKE} {folder}` and copy"
            f" {folder / HOSTS} to every host"
        )
    _check_kept(file, stat.S_IRWXG | stat.S_IRWXO, "others may read this secret", "go-rwx")
    return found


@contextmanager
def _for_the_owner_only() -> Iterator[None]:
    """A secret is never readable, not even before its mode could be changed."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


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
        raise UserError(f"{file}: no such key, or damaged; {_remedy(file.parent)}")
    _check_kept(file.parent, stat.S_IWGRP | stat.S_IWOTH, "others may add keys to it", "go-w")
    if file.suffix == ".key_secret":
        _check_kept(file, stat.S_IRWXG | stat.S_IRWXO, "others may read this secret", "go-rwx")
    return public_key, secret_key or b""


def _remedy(folder: Path) -> str:
    """The hosts have the same keys, or they do not meet: those of one of them."""
    if folder.name != HOSTS:
        return f"make keys with `{MAKE} {folder}`"
    return f"make keys with `{MAKE} {folder.parent}` on one host, and copy {folder} from there to every other"


def _check_kept(path: Path, bits: int, wrong: str, remedy: str) -> None:
    if (mode := path.stat().st_mode) & bits:
        raise UserError(
            f"{path}: {wrong} (mode {stat.S_IMODE(mode):04o}); run `chmod {remedy} {path}`, and make new"
            " keys if somebody may have done so"
        )
