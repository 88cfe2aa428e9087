"""What systemd is told where it started hearsee: ready, alive, how it is, stopping (sd_notify(3))."""

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

TELL_S = 1.0
HANDLED = frozenset({"running", "finished", "starting", "restarting"})


class Notify:
    """Does nothing where ``NOTIFY_SOCKET`` is not set; never waits."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._told_s = -TELL_S

    def ready(self) -> None:
        self._send("READY=1\nSTATUS=running")

    def say(self, status: str) -> None:
        """What ``systemctl status`` shows."""
        self._send(f"STATUS={' '.join(status.split())}")

    def look(self, groups: Mapping[str, str]) -> None:
        """States by group, as often as one likes; told once a second.

        Only while each group runs or is being started again is hearsee called alive: where one was given up,
        systemd starts everything anew once WatchdogSec is over.
        """
        now_s = time.monotonic()
        if now_s - self._told_s < TELL_S:
            return
        self._told_s = now_s
        alive = "WATCHDOG=1\n" if HANDLED.issuperset(groups.values()) else ""
        self._send(alive + "STATUS=" + ", ".join(f"{name} {state}" for name, state in groups.items()))

    def stopping(self) -> None:
        self._send("STOPPING=1\nSTATUS=stopping")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.setblocking(False)
            out.sendto(text.encode(), self._address)
