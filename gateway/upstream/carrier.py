"""Image bytes to and from the image service behind the gateway: synchronous, in worker threads.

A delivery whose blocks raise ends its connection before the body is whole, so that nothing of it is kept there.
"""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import quote, urlsplit

from gateway.ports import BLOCK_SIZE, Block
from gateway.upstream.connection import HOP, Headers, Place, Took, away, kept, unheard

LONGEST_ANSWER = 1 << 20
READ = 2 * BLOCK_SIZE
"""Of a download at a time: each turn of a thread costs as much as copying half a MiB."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a call was answered; `message` is what an error said, in the service's own words."""

    status: int
    body: bytes

    @property
    def message(self) -> str:
        try:
            found = json.loads(self.body)
        except ValueError:
            return ""
        found = found.get("error", found) if isinstance(found, dict) else {}
        said = found.get("message") if isinstance(found, dict) else None
        return said.replace("<br />", " ").strip()[:500] if isinstance(said, str) else ""


@dataclass(frozen=True, slots=True)
class Coming:
    """A body on its way. `close` ends the connection, from any thread."""

    status: int
    headers: Headers
    blocks: Iterator[bytes]
    close: Callable[[], None]


class Carrier:
    """One connection a call. Every call raises Unavailable (`upstream-away`) where the service does not answer."""

    def __init__(self, place: Place, took: Took = unheard) -> None:
        self._took = took
        self._base = urlsplit(place.endpoint.rstrip("/"))
        self._timeout = place.timeout
        self._tls = ssl.create_default_context(cafile=str(place.ca_file) if place.ca_file else None)

    def get(self, path: str, query: bytes, headers: Headers) -> Coming:
        """The headers of the answer are there when this returns, the bytes are not. `path` is decoded."""
        connection, began = self._connection(), time.monotonic()
        try:
            target = self._target(path) + (f"?{query.decode('ascii')}" if query else "")
            _send_head(connection, "GET", target, headers)
            line = connection.sock
            answer = connection.getresponse()
        except (OSError, HTTPException) as error:
            connection.close()
            self._took(None, time.monotonic() - began)
            raise away(f"GET {path}") from error
        self._took(answer.status, time.monotonic() - began)
        found = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.getheaders()]
        return Coming(answer.status, kept(found, HOP), _blocks(connection, answer, path), partial(_hang_up, line))

    def call(self, verb: str, path: str, headers: Mapping[str, str], body: object = None) -> Said:
        """A call with a small JSON body, or none."""
        content = b"" if body is None else json.dumps(body).encode()
        kind = {} if body is None else {"Content-Type": "application/json"}
        return self._sent(verb, path, {**kind, **headers, "Content-Length": str(len(content))}, [content])

    def put(self, path: str, headers: Mapping[str, str], blocks: Iterable[Block], size: int) -> Said:
        """Send `size` bytes. What `blocks` raises is raised, and the service keeps nothing of them."""
        kind = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        return self._sent("PUT", path, {**headers, **kind}, blocks)

    def _sent(self, verb: str, path: str, headers: Mapping[str, str], blocks: Iterable[Block]) -> Said:
        connection, began, status = self._connection(), time.monotonic(), None
        try:
            head = [(name.encode(), value.encode()) for name, value in headers.items()]
            with _said(f"{verb} {path}"):
                _send_head(connection, verb, self._target(path), [*head, (b"Accept", b"application/json")])
            for block in blocks:
                if not _still_sends(connection, block):
                    break  # it has answered already, and wants no more
            with _said(f"{verb} {path}"):
                answer = connection.getresponse()
                status = answer.status
                return Said(answer.status, answer.read(LONGEST_ANSWER))
        finally:
            self._took(status, time.monotonic() - began)
            connection.close()

    def _connection(self) -> HTTPConnection:
        host, port = self._base.hostname or "", self._base.port
        if self._base.scheme == "https":
            return HTTPSConnection(host, port, timeout=self._timeout, context=self._tls)
        return HTTPConnection(host, port, timeout=self._timeout)

    def _target(self, path: str) -> str:
        return quote(self._base.path + path)


def _send_head(connection: HTTPConnection, verb: str, target: str, headers: Headers) -> None:
    names = {name.lower() for name, _ in headers}
    connection.putrequest(verb, target, skip_host=b"host" in names, skip_accept_encoding=True)
    for name, value in headers:
        connection.putheader(name, value)
    connection.endheaders()


def _still_sends(connection: HTTPConnection, block: Block) -> bool:
    try:
        connection.send(block)
    except (BrokenPipeError, ConnectionResetError):
        return False
    except OSError as error:
        raise away("the delivery") from error
    return True


def _hang_up(line: socket.socket) -> None:
    """Whoever waits for it in another thread wakes up."""
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


def _blocks(connection: HTTPConnection, answer: HTTPResponse, path: str) -> Iterator[bytes]:
    """Raises Unavailable where the body ends early, so that the reader's own answer breaks off too."""
    left = answer.length
    try:
        while True:
            with _said(f"GET {path}"):
                block = answer.read(READ)
            if not block:
                break
            left = None if left is None else left - len(block)
            yield block
        if left:
            raise away(f"GET {path} to its end")
    finally:
        answer.close()
        connection.close()


@contextmanager
def _said(call: str) -> Iterator[None]:
    try:
        yield
    except (OSError, HTTPException) as error:
        raise away(call) from error
