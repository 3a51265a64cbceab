"""A source that sends half an image and waits until it is told to go on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HALF = b"half an image, " * 70_000


class Gate:
    """Its image is twice HALF; `asked` is set whenever half of it has been sent."""

    def __init__(self, host: str, port: int) -> None:
        self.port = port
        self.url = f"http://{host}:{port}/gated.raw"
        self.asked = threading.Event()
        self._opened = threading.Event()

    def open(self) -> None:
        self._opened.set()

    def close(self) -> None:
        self._opened.clear()

    def wait(self) -> None:
        self._opened.wait(600)


@contextmanager
def gated(host: str) -> Iterator[Gate]:
    """A running Gate."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(2 * len(HALF)))
            self.end_headers()
            try:
                self.wfile.write(HALF)
                gate.asked.set()
                gate.wait()
                self.wfile.write(HALF)
            except OSError:
                pass  # the importer has gone, as some tests make it

        def log_message(self, *args: object) -> None: ...

    with ThreadingHTTPServer((host, 0), Answer) as server:
        server.daemon_threads = True
        gate = Gate(host, server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield gate
        finally:
            gate.open()
            server.shutdown()
            thread.join()
