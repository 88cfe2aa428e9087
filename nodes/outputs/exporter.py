"""Where Prometheus finds the metrics: a small HTTP server that nobody can hold up; only where asked for."""

import errno
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from nodes.outputs.address import is_local
from nodes.outputs.bodies import Common, StatusBody
from nodes.outputs.metrics import Told, metrics
from nodes.runtime.errors import UserError

AT_ONCE = 8  # requests; more are turned away
PATIENCE_S = 5.0  # with whoever connects and does not ask


class Exporter(Collector):
    """Serves the latest status at ``address``, ``HOST:PORT`` of this machine.  UserError where it cannot.

    One thread waits for requests, at most AT_ONCE more answer them; ``close`` ends it.
    """

    def __init__(self, address: str, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        host, port = _parse(address)
        if not is_local(f"tcp://{address}"):
            raise UserError(
                f"publish: metrics {address} can be reached from other machines, and anybody there could read"
                f" when somebody speaks: serve them at 127.0.0.1:{port}, and let a proxy that asks who it is,"
                " or ssh -L, bring them further"
            )
        self._now_ns = now_ns
        self._body: StatusBody | None = None
        self._published: Counter[str] = Counter()
        registry = CollectorRegistry()
        registry.register(self)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._server = _server(family)((host, port), _Request)
        except (OSError, OverflowError) as error:
            taken = getattr(error, "errno", 0) == errno.EADDRINUSE
            wrong = "is in use; set another port" if taken else f"cannot be used ({error})"
            raise UserError(f"publish: metrics {address} {wrong}") from error
        self._server.set_app(make_wsgi_app(registry))
        self.address = f"{host}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="metrics")
        self._thread.daemon = True
        self._thread.start()

    def take(self, topic: str, body: Common) -> None:
        """``body`` is published under ``topic``."""
        self._published[topic] += 1
        if isinstance(body, StatusBody):
            self._body = body

    def collect(self) -> Iterator[Metric]:
        """Called by a thread of the server, once for each request."""
        body = self._body
        if body is None:
            return
        yield from metrics(Told(body, Counter(self._published), self._now_ns()))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(1.0)


class _Request(WSGIRequestHandler):
    timeout = PATIENCE_S

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False

    def server_bind(self) -> None:
        """As WSGIServer does, less its question to a name server, which may take long to answer."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()
        self.free = threading.BoundedSemaphore(AT_ONCE)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self.free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asked has gone: nothing to say."""


def _server(family: socket.AddressFamily) -> type[_Server]:
    return type("_Server", (_Server,), {"address_family": family})


def _parse(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or len(port) > 5 or int(port) > 65535:
        raise UserError(f"publish: metrics {address}: write it like 127.0.0.1:9464")
    return host.strip("[]"), int(port)
