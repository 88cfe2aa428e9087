"""A real http server that serves a file in every bad way that a download must survive, on loopback."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class HostileServer:
    """Serves ``files[path]``.  ``ways``: how each request in turn is served, "honest" after the last.

    ``asked``: the path and Range of every request.  ``etag`` is that of every file.
    """

    def __init__(self, files, etag='"one"'):
        self.files, self.etag = files, etag
        self.ways, self.asked = [], []
        self.given = 0  # bytes of bodies
        self.over = threading.Event()
        hostile = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.close_connection = True
                hostile.asked.append((self.path, self.headers.get("Range")))
                way, _, number = (hostile.ways.pop(0) if hostile.ways else "honest").partition(" ")
                try:
                    getattr(hostile, way)(self, *(number and [int(number)]))
                except OSError:
                    return  # the client has had enough

            def log_message(self, *arguments):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def url(self, path="/model.bin"):
        return f"http://127.0.0.1:{self._server.server_address[1]}{path}"

    def close(self):
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    def honest(self, request, stop_after=None, pace_s=0.0):
        """Ranges with If-Range, as RFC 9110 has them."""
        body = self.files.get(request.path)
        if body is None:
            return request.send_error(404)
        span, condition = request.headers.get("Range"), request.headers.get("If-Range")
        first = int(span[6:-1]) if span and condition in (None, self.etag) else 0
        if first and first >= len(body):
            return request.send_error(416)
        request.send_response(206 if first else 200)
        if first:
            request.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        self._body(request, body[first:], len(body) - first, stop_after, pace_s)

    def without_ranges(self, request):
        request.send_response(200)
        self._body(request, self.files[request.path], len(self.files[request.path]))

    def truncate(self, request, count):
        self.honest(request, stop_after=count)

    def stall(self, request, count):
        self.honest(request, stop_after=count)
        self.over.wait(30)

    def slow(self, request):
        self.honest(request, pace_s=0.02)

    def drip(self, request):
        """A byte at a time: each comes before a socket's timeout."""
        request.send_response(200)
        request.send_header("Content-Length", str(len(self.files[request.path])))
        request.end_headers()
        while not self.over.wait(0.02):
            request.wfile.write(b"x")

    def drip_headers(self, request):
        request.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not self.over.wait(0.02):
            request.wfile.write(b"X: y\r\n")

    def say_longer(self, request):
        request.send_response(200)
        self._body(request, self.files[request.path], len(self.files[request.path]) + 1000)

    def say_shorter(self, request):
        request.send_response(200)
        self._body(request, self.files[request.path], len(self.files[request.path]) - 1000)

    def endless(self, request):
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        while not self.over.is_set():
            request.wfile.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")

    def wrong_bytes(self, request):
        request.send_response(200)
        body = self.files[request.path]
        self._body(request, body[:-1] + bytes([body[-1] ^ 1]), len(body))

    def wrong_rest(self, request):
        """The right headers for the rest of the file, and bytes of another one."""
        body = self.files[request.path]
        first = int(request.headers["Range"][6:-1])
        request.send_response(206)
        request.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        self._body(request, bytes(len(body) - first), len(body) - first)

    def another_range(self, request):
        body = self.files[request.path]
        request.send_response(206)
        request.send_header("Content-Range", f"bytes 7-{len(body) - 1}/{len(body)}")
        self._body(request, body[7:], len(body) - 7)

    def error(self, request, code):
        request.send_error(code)

    def rubbish(self, request):
        request.wfile.write(b"\x00\xff SSH-2.0-OpenSSH\r\n\r\n")

    def redirect(self, request, code):
        self._to(request, code, self.url("/moved" + request.path))

    def redirect_to_a_file(self, request):
        self._to(request, 302, "file:///etc/passwd")

    def redirect_for_ever(self, request):
        self.ways.insert(0, "redirect_for_ever")
        self._to(request, 302, self.url(f"/{len(self.asked)}"))

    def _to(self, request, code, where):
        request.send_response(code)
        request.send_header("Location", where)
        request.send_header("Content-Length", "0")
        request.end_headers()

    def _body(self, request, body, said, stop_after=None, pace_s=0.0):
        request.send_header("Content-Length", str(said))
        request.send_header("ETag", self.etag)
        request.end_headers()
        sent = body if stop_after is None else body[:stop_after]
        step = 16_384 if pace_s else 262_144
        for start in range(0, len(sent), step):
            self.given += len(sent[start : start + step])  # first: the client may look once it has them
            request.wfile.write(sent[start : start + step])
            time.sleep(pace_s)
