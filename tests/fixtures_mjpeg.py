"""A network camera: pictures as MJPEG over HTTP, as cheap IP cameras send them."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np


class NetworkCamera:
    """Serves ``picture(i)``, BGR uint8 [height, width, 3], at ``fps``; keeps its port over a restart.

    Both may be changed while it serves.
    ``sent_ns[i]``: when picture i was written to whoever watches.
    """

    def __init__(self, picture, fps=25.0):
        self.picture, self.fps = picture, fps
        self.sent_ns = {}
        self.frozen = threading.Event()
        self._port = 0
        self._server = None
        self._stop = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._port}/video.mjpg"

    def start(self):
        self._stop.clear()
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                try:
                    camera._stream(self.wfile)
                except OSError:
                    self.close_connection = True

            def log_message(self, *arguments):
                pass

        class Server(ThreadingHTTPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def kill(self):
        """Every connection ends and new ones are refused."""
        if self._server is not None:
            self._stop.set()
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _stream(self, out):
        due, i = time.monotonic(), 0
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            if not self.frozen.is_set():
                data = cv2.imencode(".jpg", self.picture(i))[1].tobytes()
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                self.sent_ns[i] = time.monotonic_ns()
                out.write(head.encode() + data + b"\r\n")
            due += 1 / self.fps
            i += 1


def numbered(i, width=320, height=240):
    """A picture that can be told from every other: its number as twelve black or white blocks."""
    image = np.full((height, width, 3), 128, np.uint8)
    for bit in range(12):
        left = bit * width // 12
        image[: height // 2, left : left + width // 12] = 255 if i >> bit & 1 else 0
    return image


def number(image):
    """Which picture of ``numbered`` this is, at any size."""
    height, width = image.shape[:2]
    row = image[height // 4, [int((bit + 0.5) * width / 12) for bit in range(12)], 0]
    return sum(1 << bit for bit in range(12) if row[bit] > 127)
