"""Two hosts on one machine: network namespaces, each with a clock of its own, and a bad link between them.

The link delays, loses and reorders packets as ``tc netem delay 40ms 10ms loss 2%`` does, in each direction.
It is made here, since kernels come without netem: each namespace has a TUN interface, and whatever packet one
sends comes out of the other a little later, or not.  All above it, TCP with its retransmissions, is real.
Cut, it swallows every packet and says nothing, as a radio link does.

Needs root, and `ip` (iproute2) and `unshare` (util-linux).
"""

import fcntl
import os
import random
import selectors
import shutil
import signal
import struct
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from heapq import heappop, heappush
from pathlib import Path
from types import TracebackType

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
CLONE_NEWNET = 0x40000000
PACKET_BYTES = 2048
QUEUE = 10_000  # packets on their way in one direction; netem's own limit is 1000
UPTIME_S = (0, 500_000)
"""How much longer than this machine each host has been up, by its own monotonic clock."""


def missing() -> str:
    """Why there can be no namespaces here; "" where there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for tool in ("ip", "unshare"):
        if not shutil.which(tool):
            return f"`{tool}` is missing: apt-get install iproute2 util-linux"
    if not Path("/dev/net/tun").exists():
        return "no /dev/net/tun"
    try:
        with Namespaces() as hosts:
            hosts.run(1, ["true"]).wait(10)
    except (OSError, subprocess.SubprocessError) as error:
        return f"namespaces are not permitted here: {error}"
    return ""


class Namespaces:
    """Two hosts, 0 and 1, until the end of ``with``; ``addresses`` are theirs.

    delay_ms, jitter_ms: each packet's delay is drawn from delay ± jitter, evenly.  loss: of packets, 0..1.
    """

    def __init__(
        self, delay_ms: float = 0.0, jitter_ms: float = 0.0, loss: float = 0.0, seed: int = 0
    ) -> None:
        number = os.getpid() % 10_000
        self.names = (f"hs{number}a", f"hs{number}b")
        self.addresses = ("10.77.0.1", "10.77.0.2")
        self._delay_s, self._jitter_s, self._loss = delay_ms / 1e3, jitter_ms / 1e3, loss
        self._chance = random.Random(seed)
        self._cut = threading.Event()
        self._end = threading.Event()
        self._tuns: list[int] = []
        self.carried_bytes = [0, 0]
        self._thread = threading.Thread(target=self._carry, daemon=True)

    def __enter__(self) -> "Namespaces":
        try:
            for name, address in zip(self.names, self.addresses, strict=True):
                _ip("netns", "add", name)
                self._tuns.append(_tun(name))
                _ip("-n", name, "addr", "add", f"{address}/24", "dev", "tun0")
                for device in ("lo", "tun0"):
                    _ip("-n", name, "link", "set", device, "up")
        except BaseException:
            self._remove()
            raise
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join(5)
        self._remove()

    def cut(self) -> None:
        """From now on nothing gets through, what is on its way included."""
        self._cut.set()

    def mend(self) -> None:
        self._cut.clear()

    def command(self, host: int, command: Sequence[str]) -> list[str]:
        """``command`` as it is started on ``host``, with that host's clock."""
        uptime = str(UPTIME_S[host])
        clock = ["unshare", "--time", "--monotonic", uptime, "--boottime", uptime, "--"]
        return ["ip", "netns", "exec", self.names[host], *clock, *command]

    def run(self, host: int, command: Sequence[str], **options: object) -> "subprocess.Popen[str]":
        return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
            self.command(host, command), text=True, start_new_session=True, **options
        )

    @staticmethod
    def interrupt(process: "subprocess.Popen[str]") -> None:
        """Ctrl-C, as a terminal sends it: to all that the command consists of."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)

    def _remove(self) -> None:
        for tun in self._tuns:
            os.close(tun)
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL, check=False)

    def _carry(self) -> None:
        selector = selectors.DefaultSelector()
        for tun in self._tuns:
            selector.register(tun, selectors.EVENT_READ)
        on_the_way: list[tuple[float, int, int, bytes]] = []
        count = 0
        while not self._end.is_set():
            wait_s = min(0.05, on_the_way[0][0] - time.monotonic()) if on_the_way else 0.05
            for key, _ in selector.select(max(0.0, wait_s)):
                side = self._tuns.index(key.fd)
                while (packet := _read(key.fd)) is not None:
                    if self._cut.is_set() or self._chance.random() < self._loss or len(on_the_way) > QUEUE:
                        continue
                    delay_s = self._delay_s + self._jitter_s * self._chance.uniform(-1, 1)
                    count += 1
                    heappush(on_the_way, (time.monotonic() + delay_s, count, 1 - side, packet))
            while on_the_way and on_the_way[0][0] <= time.monotonic():
                _, _, side, packet = heappop(on_the_way)
                if not self._cut.is_set():
                    self.carried_bytes[1 - side] += len(packet)
                    os.write(self._tuns[side], packet)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=10)


def _tun(namespace: str) -> int:
    """A TUN interface, "tun0" in ``namespace``; packets are read from and written to the descriptor."""
    found: list[int | OSError] = []

    def make() -> None:  # a thread may change its own namespace; the process stays where it is
        try:
            with open(f"/run/netns/{namespace}") as file:
                _setns(file.fileno())
            tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"tun0", IFF_TUN | IFF_NO_PI))
            found.append(tun)
        except OSError as error:
            found.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if isinstance(found[0], OSError):
        raise found[0]
    return found[0]


def _setns(descriptor: int) -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _read(tun: int) -> bytes | None:
    try:
        return os.read(tun, PACKET_BYTES)
    except BlockingIOError:
        return None
