"""A web server on loopback whose paths say how it behaves, well or badly."""

from __future__ import annotations

import random
import re
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Event

from tests.images.hostile import backed_qcow2

PIECES = 20
BLOCK = bytes(1 << 16)
SHOWN = 8 << 20
"""What the bad sources promise, in bytes."""


def content(seed: int, size: int) -> bytes:
    """Bytes that nothing mistakes for an image format, the same for the same seed."""
    return random.Random(seed).randbytes(size)


class Sources:
    """`url(path)`, and `sent`: the bytes of bodies sent so far. `opened` is set once somebody fetches. `changed` are
    the seeds of files that have become others.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.sent = 0
        self.changed: set[int] = set()
        self.opened = Event()
        self.closing = Event()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    def paced(self, seed: int, size: int, milliseconds: int) -> str:
        """The URL of `content(seed, size)`, sent evenly over a time."""
        return self.url(f"paced/{seed}/{size}/{milliseconds}")

    def answer(self, connection: socket.socket, request: str) -> None:
        name, *numbers = request.split(" ")[1].strip("/").split("/")
        self.opened.set()
        if name in RESUMED:
            return RESUMED[name](self, connection, request, *map(int, numbers))
        return ANSWERS[name](self, connection, *map(int, numbers))

    def send(self, connection: socket.socket, body: bytes) -> None:
        connection.sendall(body)
        self.sent += len(body)


def _head(length: int | None) -> bytes:
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode()


def _paced(sources: Sources, connection: socket.socket, seed: int, size: int, milliseconds: int) -> None:
    body = content(seed, size)
    connection.sendall(_head(size))
    step = -(-size // PIECES)
    for start in range(0, size, step):
        sources.send(connection, body[start : start + step])
        sources.closing.wait(milliseconds / 1000 / PIECES)


def _breaking(sources: Sources, connection: socket.socket, request: str, seed: int, size: int, piece: int) -> None:
    """`content(seed, size)`; each connection breaks after `piece` bytes, and the next one may go on there."""
    body = content(seed, size)
    asked = re.search(r"\r\nrange: bytes=(\d+)-\r\n", request, re.I)
    start = int(asked[1]) if asked else 0
    said = f'ETag: "{seed}"\r\nContent-Length: {size - start}\r\n'
    if asked is not None:
        said += f"Content-Range: bytes {start}-{size - 1}/{size}\r\n"
    connection.sendall(f"HTTP/1.1 {206 if asked else 200} OK\r\n{said}\r\n".encode())
    sources.send(connection, body[start : start + piece])


def _changing(sources: Sources, connection: socket.socket, request: str, seed: int, size: int, piece: int) -> None:
    """`content(seed, size)` breaks after `piece` bytes; from then on it is `content(seed + 1, size)`, and whole."""
    now, stop = (seed + 1, size) if seed in sources.changed else (seed, piece)
    sources.changed.add(seed)
    connection.sendall(f'HTTP/1.1 200 OK\r\nETag: "{now}"\r\nContent-Length: {size}\r\n\r\n'.encode())
    sources.send(connection, content(now, size)[:stop])


RESUMED: Mapping[str, Callable[..., None]] = {"breaking": _breaking, "changing": _changing}


def _backed(sources: Sources, connection: socket.socket, milliseconds: int) -> None:
    """A disk that names a file of its host as its backing file."""
    body = backed_qcow2()
    connection.sendall(_head(len(body)))
    sources.closing.wait(milliseconds / 1000)
    sources.send(connection, body)


def _stall(sources: Sources, connection: socket.socket) -> None:
    connection.sendall(_head(SHOWN))
    sources.send(connection, BLOCK)
    sources.closing.wait(60)


def _trickle(sources: Sources, connection: socket.socket) -> None:
    connection.sendall(_head(SHOWN))
    while not sources.closing.wait(0.1):
        sources.send(connection, b"x")


def _truncate(sources: Sources, connection: socket.socket) -> None:
    connection.sendall(_head(SHOWN))
    sources.send(connection, BLOCK)


def _break_chunk(sources: Sources, connection: socket.socket) -> None:
    connection.sendall(_head(None) + b"10000\r\n" + BLOCK + b"\r\nnot-a-size\r\n")
    sources.send(connection, BLOCK)


def _never_end(sources: Sources, connection: socket.socket) -> None:
    connection.sendall(_head(None))
    while not sources.closing.is_set():
        connection.sendall(b"10000\r\n")
        sources.send(connection, BLOCK)
        connection.sendall(b"\r\n")


ANSWERS: Mapping[str, Callable[..., None]] = {
    "paced": _paced,
    "backed": _backed,
    "stall": _stall,
    "trickle": _trickle,
    "truncate": _truncate,
    "break-chunk": _break_chunk,
    "never-end": _never_end,
}


@contextmanager
def sources() -> Iterator[Sources]:
    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):  # the gateway hung up, or was killed
                request = self.request.recv(65536).decode("latin-1")
                found.answer(self.request, request)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Connection, bind_and_activate=False) as server:
        server.daemon_threads = True
        server.request_queue_size = 64
        server.server_bind()
        server.server_activate()
        found = Sources(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield found
        finally:
            found.closing.set()
            server.shutdown()
            thread.join()
