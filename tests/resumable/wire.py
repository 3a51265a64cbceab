"""A cable to the service that can be pulled, and put into another one."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx


class Wire:
    """Passes bytes on to the service at `to`. `url` stays the same; `carried` are the bytes sent so far."""

    def __init__(self, to: str) -> None:
        self.to = to
        self.url = ""
        self.carried = 0
        self.limit: int | None = None
        self._open: set[socket.socket] = set()

    def cut(self) -> None:
        """Every connection breaks; new ones can be made."""
        for one in list(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def carry(self, client: socket.socket) -> None:
        target = httpx.URL(self.to)
        try:
            service = socket.create_connection((target.host, target.port or 80))
        except OSError:
            return
        with service:
            self._open |= {client, service}
            back = threading.Thread(target=self._pump, args=(service, client, False))
            back.start()
            self._pump(client, service, True)
            back.join()
            self._open -= {client, service}

    def _pump(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        try:
            while chunk := source.recv(65536):
                sink.sendall(chunk)
                self.carried += len(chunk) if counted else 0
                if self.limit is not None and self.carried >= self.limit:
                    self.limit = None
                    self.cut()
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            with suppress(OSError):
                sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def wired(to: str) -> Iterator[Wire]:
    wire = Wire(to)

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            wire.carry(self.request)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Connection) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        wire.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield wire
        finally:
            server.shutdown()
            wire.cut()
            thread.join()
