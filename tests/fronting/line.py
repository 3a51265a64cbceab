"""A line to the image service behind the gateway, which can be taken away, cut within an answer, or stall."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import httpx

BUSY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass
class Line:
    """`trouble` is refuse, error, reset, end or stall; the last three come after `after` bytes of one direction.

    `only` is what a request starts with for the trouble to meet it; empty for every one. `carried` counts bytes.
    """

    url: str
    target: tuple[str, int]
    trouble: str = ""
    after: int = 0
    only: bytes = b""
    met: int = 0
    carried: int = 0
    freed: threading.Event = field(default_factory=threading.Event)
    open: set[socket.socket] = field(default_factory=set)

    @contextmanager
    def troubled(self, trouble: str, *, after: int = 0, only: bytes = b"") -> Iterator[None]:
        self.after, self.only, self.met = after, only, 0
        self.freed.clear()
        self.trouble = trouble
        for end in list(self.open):  # what is kept open from before ends, so that every call meets the trouble
            _reset(end)
        try:
            yield
        finally:
            self.trouble = ""
            self.freed.set()

    def carry(self, near: socket.socket) -> None:
        self.open.add(near)
        try:
            self._carry(near)
        finally:
            self.open.discard(near)

    def _carry(self, near: socket.socket) -> None:
        first = near.recv(1 << 16)
        if not first:
            return
        trouble = self.trouble if first.startswith(self.only) else ""
        self.met += bool(trouble)
        if trouble == "refuse":
            _reset(near)
        elif trouble == "error":
            near.sendall(BUSY)
            near.shutdown(socket.SHUT_WR)
            near.recv(1 << 16)
        else:
            self._joined(near, first, trouble)

    def _joined(self, near: socket.socket, first: bytes, trouble: str) -> None:
        with socket.create_connection(self.target) as far:
            far.sendall(first)
            back = threading.Thread(target=self._pump, args=(far, near, trouble))
            back.start()
            self._pump(near, far, trouble)
            back.join()

    def _pump(self, source: socket.socket, sink: socket.socket, trouble: str) -> None:
        came = 0
        with suppress(OSError):
            while chunk := source.recv(1 << 16):
                came += len(chunk)
                if trouble and came > self.after:
                    self._meets(trouble, source, sink)
                    return
                sink.sendall(chunk)
                self.carried += len(chunk)
            sink.shutdown(socket.SHUT_WR)

    def _meets(self, trouble: str, *ends: socket.socket) -> None:
        if trouble == "stall":
            self.freed.wait(60)
        for end in ends:
            _close(end) if trouble == "end" else _reset(end)


def _close(end: socket.socket) -> None:
    """As a server does that has said all it has to say."""
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
        end.close()


def _reset(end: socket.socket) -> None:
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.shutdown(socket.SHUT_RDWR)
        end.close()


@contextmanager
def line(url: str) -> Iterator[Line]:
    """A line to the service at `url`."""
    target = httpx.URL(url)
    made = Line("", (target.host, target.port or 80))

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                made.carry(self.request)

        def finish(self) -> None:
            with suppress(OSError):
                self.request.close()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Connection) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        made.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield made
        finally:
            made.freed.set()
            server.shutdown()
            thread.join()
