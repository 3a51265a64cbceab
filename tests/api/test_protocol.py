"""Heads that never end, by time or by size, over a real socket."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from random import Random
from typing import Any

import pytest
import uvicorn
import uvloop
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api.protocol import timed_head
from tests.serving.process import LONGEST


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def digesting(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the digest of the body, which it takes as it comes."""
    digest, more = sha256(), True
    while more:
        message = await receive()
        digest.update(message.get("body", b""))
        more = message.get("more_body", False)
    said = digest.hexdigest().encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"64")]})
    await send({"type": "http.response.body", "body": said})


Client = Callable[[int], bytes]


def talk(words: list[bytes], *, seconds: float = 0.3, limit: int = 1000) -> bytes:
    """What the server says to `words` until it hangs up, which nothing but a head's limits makes it do."""

    def client(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=LONGEST) as connection:
            for word in words:
                connection.sendall(word)
            said = b""
            try:
                while part := connection.recv(4096):
                    said += part
            except ConnectionResetError:
                pass
        return said

    return served(hello, client, seconds, limit)


def served(app: ASGIApp, client: Client, seconds: float, limit: int, loop: Callable[[], Any] | None = None) -> bytes:
    async def scene() -> bytes:
        config = uvicorn.Config(
            app,
            port=0,
            http=timed_head(seconds, limit),
            lifespan="off",
            ws="none",
            log_config=None,
            timeout_keep_alive=600,
        )
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([listening]))
        try:
            return await asyncio.to_thread(client, listening.getsockname()[1])
        finally:
            server.should_exit = True
            await serving

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(scene())


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_no_body_has_bytes_of_another(loop: Callable[[], Any]) -> None:
    """All connections are read out of one buffer; these send at the same time, several requests in one go."""

    def speak(port: int, number: int) -> bool:
        draw = Random(number)
        bodies = [draw.randbytes(draw.choice([0, 1, 1000, 70_000, 400_000])) for _ in range(4)]
        sent = b"".join(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(one) + one for one in bodies)
        with socket.create_connection(("127.0.0.1", port), timeout=LONGEST) as connection:
            while sent:
                taken = draw.choice([1, 100, 5_000, 100_000])
                connection.sendall(sent[:taken])
                sent = sent[taken:]
            said = b""
            while len(found := re.findall(rb"[0-9a-f]{64}", said)) < len(bodies) and (part := connection.recv(4096)):
                said += part
        return found == [sha256(one).hexdigest().encode() for one in bodies]

    def client(port: int) -> bytes:
        with ThreadPoolExecutor(24) as pool:
            return bytes(pool.map(speak, [port] * 24, range(24)))

    assert served(digesting, client, LONGEST, 1000, loop) == bytes([True]) * 24


def test_a_whole_head_is_answered() -> None:
    said = talk([b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"], seconds=LONGEST)
    assert said.startswith(b"HTTP/1.1 204")


def test_a_connection_that_says_nothing_is_closed() -> None:
    said = talk([])
    assert said == b""


def test_a_head_that_stops_half_way_is_closed() -> None:
    said = talk([b"GET / HTTP/1.1\r\nHo"])
    assert said == b""


def test_a_second_request_has_its_own_timer() -> None:
    said = talk([b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / HTTP/1.1\r\nHo"], seconds=2)
    assert said.startswith(b"HTTP/1.1 204")


def test_a_head_that_never_ends_is_refused_by_size() -> None:
    said = talk([b"GET / HTTP/1.1\r\n", *[b"A: %s\r\n" % (b"x" * 100) for _ in range(40)]], seconds=LONGEST)
    assert said.startswith(b"HTTP/1.1 400")
