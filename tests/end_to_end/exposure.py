"""What others, on this machine or beyond, could reach of a running pipeline."""

import ipaddress
import os
import stat
from pathlib import Path

from benchmarks.measured.processes import family

LISTENS = 0x10000  # __SO_ACCEPTCON, in /proc/net/unix


def assert_closed_to_others(pid):
    """Nothing that process ``pid`` started can be reached from another machine or by another user.

    Ports of TCP and UDP are on loopback addresses, IPv4 and IPv6; sockets in the file system lie in the run's
    folder, which only its owner may enter; the token that guards Ray's ports shows in no command line and
    in no file.
    """
    processes = family(pid)
    ports = {
        (process.name(), port.laddr.ip, port.laddr.port)
        for process in processes
        for port in process.net_connections("inet")
        if port.laddr and not port.raddr
    }
    assert len(ports) > 3, "Ray and the publisher listen: they must be among what was looked at"
    assert [port for port in ports if not _is_loopback(port[1])] == []

    [folder] = Path("/tmp").glob(f"hearsee-{pid}-*")
    held = folder.stat()
    assert (stat.S_IMODE(held.st_mode), held.st_uid) == (0o700, os.getuid())
    paths = {path for process in processes for path in _listening_paths(process.pid)}
    assert any(path.endswith("capture-perceive") for path in paths)
    assert [path for path in paths if not path.startswith(f"{folder}/")] == []

    secrets = {process.environ().get("RAY_AUTH_TOKEN", "") for process in processes[1:]} - {""}
    assert secrets, "Ray's ports have no token"
    for secret in secrets:
        assert [p.cmdline() for p in processes if any(secret in word for word in p.cmdline())] == []
        files = [
            path for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()
        ]
        assert files == []


def _is_loopback(ip):
    address = ipaddress.ip_address(ip)
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _listening_paths(pid):
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(descriptor)
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and fields[6] in inodes and int(fields[3], 16) & LISTENS:
            yield fields[7]
