"""Real sources on loopback, and a count of every connection the process opens."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from gateway.methods.fetch import Fetch
from gateway.methods.outbound import Outbound
from gateway.methods.rules import Deadlines, FetchRules
from tests.serving.process import LONGEST

Answer = Callable[[socket.socket, str], None]

CALM = Deadlines(dns=0.1, connect=0.1)

_connects: list[list[Any]] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        for seen in _connects:
            seen.append(arguments[1])


sys.addaudithook(_watch)  # cannot be removed; it only writes while somebody counts


class Source:
    """A listening socket that gives every connection to `answer(connection, request line)`."""

    def __init__(self, answer: Answer, host: str, wrap: Callable[[socket.socket], socket.socket] | None) -> None:
        self._listener = socket.create_server((host, 0))
        self._answer = answer
        self._wrap = wrap or (lambda connection: connection)
        self.host, self.port = self._listener.getsockname()
        self.heads: list[str] = []
        self.accepted = 0
        self.closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self.closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            connection.settimeout(LONGEST)
            with connection:
                self._speak(connection)

    def _speak(self, connection: socket.socket) -> None:
        try:
            with self._wrap(connection) as wrapped:
                head = wrapped.recv(65536).decode("latin-1")
                self.heads.append(head)
                self._answer(wrapped, head.split("\r\n")[0])
        except OSError:
            pass  # the gateway hung up, which is what most of these tests want

    def url(self, path: str = "/image", name: str = "source.example") -> str:
        return f"http://{name}:{self.port}{path}"

    def close(self) -> None:
        self.closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def serve() -> Iterator[Callable[..., Source]]:
    """`serve(answer)` starts a source; bytes as the answer are sent as they are."""
    started: list[Source] = []

    def start(answer: Answer | bytes, host: str = "127.0.0.1", wrap: Any = None) -> Source:
        speak = (lambda connection, _: connection.sendall(answer)) if isinstance(answer, bytes) else answer
        started.append(Source(speak, host, wrap))
        return started[-1]

    yield start
    for source in started:
        source.close()


@pytest.fixture
def outbound() -> Callable[..., Outbound]:
    """`outbound(source)`: an operator who opened 127.0.0.0/8 and the source's port; every name is 127.0.0.1."""

    def make(*sources: Source, names: Any = None, networks: str = "127.0.0.0/8", **rules: Any) -> Outbound:
        given = {"ports": tuple(source.port for source in sources), "deadlines": CALM, **rules}
        opened = tuple(ip_network(text) for text in networks.split())
        resolve = names or (lambda host, deadline: ["127.0.0.1"])
        return Outbound(FetchRules(allowed_networks=opened, **given), resolve)

    return make


@pytest.fixture
def connects() -> Iterator[list[Any]]:
    """Every address the process connects a socket to while the test runs."""
    seen: list[Any] = []
    _connects.append(seen)
    yield seen
    _connects.remove(seen)


@pytest.fixture
def content() -> Callable[[Fetch], bytes]:
    return lambda fetch: b"".join(bytes(block) for block in fetch.blocks())
