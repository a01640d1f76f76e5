"""An HTTP server on loopback that behaves well or badly, as the first part of the path says."""

import contextlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        way, name = self.path.lstrip("/").split("/", 1)
        body = self.server.files[name]
        self.server.requests.append((way, name))
        self.server.ranges.append(self.headers.get("Range"))
        # some of these the client leaves, as it should
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            getattr(self, way)(body)
        self.close_connection = True

    def head(self, length, status=200, kind="application/octet-stream"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def good(self, body):
        self.head(len(body))
        self.wfile.write(body)

    def slow(self, body):
        self.head(len(body))
        step = len(body) // 20 + 1
        for start in range(0, len(body), step):
            self.wfile.write(body[start : start + step])
            self.wfile.flush()
            time.sleep(0.01)

    def quarter(self, body):
        """Sends a quarter from where it is asked to begin, then breaks."""
        begin = self._begin()
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - begin))
        self.end_headers()
        self.wfile.write(body[begin : begin + len(body) // 4 + 1])

    def wrong_rest(self, body):
        """Sends the right beginning and, if asked for the rest, another one."""
        begin = self._begin()
        self.quarter(bytes(len(body)) if begin else body)

    def _begin(self):
        return int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))

    def flipped(self, body):
        middle = len(body) // 2
        self.good(body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :])

    def cut(self, body):
        self.head(len(body))
        self.wfile.write(body[: len(body) // 2])

    def short(self, body):
        self.good(body[: len(body) // 2])

    def longer(self, body):
        self.good(body + b"x")

    def endless(self, body):
        self.head(None)
        while True:
            self.wfile.write(b"x" * 65536)

    def page(self, body):
        text = b"\n<!DOCTYPE html><html><body>Please log in</body></html>"
        self.head(len(text), kind="text/html")
        self.wfile.write(text)

    def missing(self, body):
        self.head(0, status=404)

    def broken(self, body):
        self.head(0, status=500)

    def stall(self, body):
        self.head(len(body))
        self.wfile.write(body[:2500])
        self.wfile.flush()
        self.server.over.wait(20)

    def zipped(self, body):
        """Claims an encoding that a client which was not asked must not undo."""
        self.send_response(200)
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


class LocalServer:
    def __init__(self):
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.http.files = {}
        self.http.requests = []
        self.http.ranges = []
        self.http.over = threading.Event()
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,))
        self.thread.start()

    def url(self, way, name):
        return f"http://127.0.0.1:{self.http.server_port}/{way}/{name}"

    def put(self, name, body):
        self.http.files[name] = body

    @property
    def requests(self):
        return self.http.requests

    def close(self):
        self.http.over.set()
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()
