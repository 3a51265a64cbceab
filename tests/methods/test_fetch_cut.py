"""Fetches that wait for a silent source, ended from another thread."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.methods.fetch import Fetch
from gateway.methods.lines import Lines
from gateway.methods.location import parse
from gateway.methods.outbound import Outbound
from gateway.methods.rules import Deadlines, FetchRules
from gateway.model.errors import Interrupted, Refusal, SourceRefused
from tests.identity.keystone_server import certify
from tests.methods.conftest import CALM, Source
from tests.serving.process import LONGEST

STOPPING = Interrupted("The gateway is stopping.")
PROMPT = 20.0
"""Seconds, of the 30 that a source may be silent."""

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"


def anything(_: object) -> None:
    return None


class Silent:
    """Says `first` and nothing more; `waits` once it has."""

    def __init__(self, first: bytes) -> None:
        self.waits = threading.Event()
        self._first = first

    def __call__(self, connection: socket.socket, _: str) -> None:
        connection.sendall(self._first)
        self.waits.set()
        connection.settimeout(60)
        assert connection.recv(1) == b""  # until the gateway hangs up


def cut_short(fetch: Callable[[], object], waits: threading.Event, lines: Lines) -> tuple[Refusal | None, float]:
    """How a fetch in a thread ends that is cut once its source is silent, and how many seconds after that."""
    ended: list[Refusal] = []

    def run() -> None:
        try:
            fetch()
        except Refusal as refusal:
            ended.append(refusal)

    thread = threading.Thread(target=run)
    thread.start()
    assert waits.wait(LONGEST)
    began = time.monotonic()
    lines.cut(STOPPING)
    thread.join(60)
    return (ended[0] if ended else None), time.monotonic() - began


def read(outbound: Outbound, source: Source, scheme: str = "http") -> Callable[[], object]:
    def whole() -> object:
        url = source.url().replace("http", scheme, 1)
        fetch: Fetch = outbound.open(parse(url), max_size=None, check=anything)
        return [bytes(block) for block in fetch.blocks()]

    return whole


@pytest.mark.parametrize("first", [b"", HEAD[:20], HEAD, HEAD + b"x" * 50], ids=["mute", "in head", "head", "in body"])
def test_a_silent_source_is_left_at_once(serve: Any, outbound: Any, first: bytes) -> None:
    silent, lines = Silent(first), Lines()
    source = serve(silent)
    refusal, seconds = cut_short(read(outbound(source, lines=lines), source), silent.waits, lines)
    assert refusal is STOPPING
    assert seconds < PROMPT


def test_under_tls_too(serve: Any, outbound: Any, tmp_path: Path) -> None:
    silent, lines, certificate = Silent(HEAD + b"x"), Lines(), certify(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    source = serve(silent, wrap=lambda connection: context.wrap_socket(connection, server_side=True))
    fetching = outbound(source, lines=lines, ca_file=certificate)
    url = f"https://127.0.0.1:{source.port}/image"
    fetch = lambda: list(fetching.open(parse(url), max_size=None, check=anything).blocks())  # noqa: E731
    refusal, seconds = cut_short(fetch, silent.waits, lines)
    assert refusal is STOPPING
    assert seconds < PROMPT


def test_a_handshake_without_end_too(serve: Any, outbound: Any) -> None:
    greeted, lines = threading.Event(), Lines()

    def hold(connection: socket.socket) -> socket.socket:
        connection.recv(1)
        greeted.set()
        connection.recv(65536)
        connection.recv(1)
        return connection

    source = serve(b"", wrap=hold)
    refusal, seconds = cut_short(read(outbound(source, lines=lines), source, "https"), greeted, lines)
    assert refusal is STOPPING
    assert seconds < PROMPT


def test_after_the_cut_nothing_is_contacted(serve: Any, outbound: Any, connects: list[Any]) -> None:
    source, lines = serve(HEAD + b"x" * 100), Lines()
    lines.cut(STOPPING)
    with pytest.raises(Interrupted):
        read(outbound(source, lines=lines), source)()
    assert connects == []


def test_a_wait_before_a_refusal_is_cut_too() -> None:
    """Unreachable sources are told equally late; the end of the process need not wait for that."""
    asked, lines = threading.Event(), Lines()

    def nobody(host: str, deadline: float) -> list[str]:
        asked.set()
        raise OSError("no such name")

    outbound = Outbound(FetchRules(deadlines=Deadlines(dns=30, connect=30), lines=lines), nobody)
    fetch = lambda: outbound.open(parse("http://nowhere.example/"), max_size=None, check=anything)  # noqa: E731
    refusal, seconds = cut_short(fetch, asked, lines)
    assert refusal is STOPPING
    assert seconds < PROMPT


def test_a_fetch_that_has_ended_holds_no_connection(serve: Any, outbound: Any, content: Any) -> None:
    """Whole, refused or broken: the descriptors are closed with the fetch."""
    lines = Lines()
    answers = [HEAD + b"x" * 100, b"HTTP/1.1 404 Not Found\r\n\r\n", HEAD + b"x", b"nonsense\r\n\r\n"]
    for answer in answers:
        source = serve(answer)
        fetching = outbound(source, lines=lines, deadlines=CALM)
        try:
            content(fetching.open(parse(source.url()), max_size=None, check=anything))
        except SourceRefused:
            assert answer != answers[0]
    assert lines.open == 0
