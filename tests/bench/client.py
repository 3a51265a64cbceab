"""A client that costs next to nothing, so that what is measured is the server."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from types import MappingProxyType
from typing import Any

Address = tuple[str, int]
OCTETS = "application/octet-stream"
PATIENCE = 120
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Client:
    """Requests over one connection each. Raises RuntimeError with the server's words for an answer above 299.

    `headers` go with every one.
    """

    address: Address
    headers: Mapping[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """JSON there and back; None for an empty answer."""
        sent = None if body is None else json.dumps(body)
        headers = {**self.headers, **({} if sent is None else {"Content-Type": "application/json"})}
        with closing(HTTPConnection(*self.address, timeout=PATIENCE)) as connection:
            connection.request(method, path, sent, headers)
            answer = connection.getresponse()
            got = answer.read()
        if answer.status > 299:
            raise RuntimeError(f"{method} {path}: {answer.status} {got.decode()}")
        return json.loads(got) if got else None

    def send(self, path: str, file: Path, size: int) -> None:
        """PUT `size` bytes from the kernel's own copy of the file, from its start again where the file is shorter."""
        with socket.create_connection(self.address, timeout=PATIENCE) as connection, file.open("rb") as source:
            connection.sendall(request("PUT", path, length=size, mime=OCTETS, headers=self.headers))
            length = os.fstat(source.fileno()).st_size
            for start in range(0, size, length):
                connection.sendfile(source, 0, min(length, size - start))
            answer = connection.recv(1 << 16)
        if not answer.startswith(b"HTTP/1.1 2"):
            raise RuntimeError(f"PUT {path}: {answer.decode(errors='replace')}")

    def receive(self, path: str, size: int) -> None:
        """GET a body of `size` bytes into one buffer."""
        with socket.create_connection(self.address, timeout=PATIENCE) as connection:
            connection.sendall(request("GET", path, headers=self.headers))
            head = connection.recv(1 << 16)
            if not head.startswith(b"HTTP/1.1 2"):
                raise RuntimeError(f"GET {path}: {head.decode(errors='replace')}")
            left = size - _beyond_head(connection, head)
            buffer = bytearray(MIB)
            while left > 0 and (count := connection.recv_into(buffer)):
                left -= count
        if left:
            raise RuntimeError(f"GET {path}: {left} of {size} bytes are missing")


class Once:
    """A connection for each small request, as clients that were just started make them."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def ask(self, request: bytes) -> None:
        """Raises RuntimeError for an answer above 299."""
        connection = KeptAlive(self._address)
        try:
            connection.ask(request)
        finally:
            connection.close()

    def close(self) -> None: ...


class KeptAlive:
    """One connection for many small requests, as bytes."""

    def __init__(self, address: Address) -> None:
        self._socket = socket.create_connection(address, timeout=PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> None:
        """Raises RuntimeError for an answer above 299. Bodies are skipped by their Content-Length."""
        self._socket.sendall(request)
        answer = self._socket.recv(1 << 16)
        while b"\r\n\r\n" not in answer:
            answer += self._more()
        head, _, body = answer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 2"):
            raise RuntimeError(answer.decode(errors="replace"))
        left = _length(head) - len(body)
        while left > 0:
            left -= len(self._more())

    def close(self) -> None:
        self._socket.close()

    def _more(self) -> bytes:
        if not (more := self._socket.recv(1 << 16)):
            raise RuntimeError("the server closed the connection")
        return more


def request(
    method: str,
    path: str,
    body: bytes = b"",
    *,
    length: int | None = None,
    mime: str = "application/json",
    headers: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    """A request as bytes; `length` where the body is sent by itself."""
    head = [f"{method} {path} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in headers.items())]
    if method in ("POST", "PUT"):
        head += [f"Content-Type: {mime}", f"Content-Length: {len(body) if length is None else length}"]
    return "\r\n".join([*head, "", ""]).encode() + body


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _beyond_head(connection: socket.socket, head: bytes) -> int:
    """How many bytes of the body came with the head."""
    while b"\r\n\r\n" not in head:
        head += connection.recv(1 << 16)
    return len(head.partition(b"\r\n\r\n")[2])
