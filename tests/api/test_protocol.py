"""Heads that never end, by time or by size, over a real socket."""

from __future__ import annotations

import asyncio
import socket
import time

import uvicorn
from starlette.types import Receive, Scope, Send

from gateway.api.protocol import timed_head


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


def talk(words: list[bytes], *, seconds: float = 0.3, limit: int = 1000) -> tuple[bytes, float]:
    """What the server says to `words` until it hangs up, and after how many seconds."""

    def client(port: int) -> tuple[bytes, float]:
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            for word in words:
                connection.sendall(word)
            said = b""
            try:
                while part := connection.recv(4096):
                    said += part
            except ConnectionResetError:
                pass
        return said, time.monotonic() - began

    async def scene() -> tuple[bytes, float]:
        config = uvicorn.Config(
            hello, port=0, http=timed_head(seconds, limit), lifespan="off", ws="none", log_config=None
        )
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([listening]))
        try:
            return await asyncio.to_thread(client, listening.getsockname()[1])
        finally:
            server.should_exit = True
            await serving

    return asyncio.run(scene())


def test_a_whole_head_is_answered() -> None:
    said, _ = talk([b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"])
    assert said.startswith(b"HTTP/1.1 204")


def test_a_connection_that_says_nothing_is_closed() -> None:
    said, after = talk([])
    assert said == b""
    assert after < 5


def test_a_head_that_stops_half_way_is_closed() -> None:
    said, after = talk([b"GET / HTTP/1.1\r\nHo"])
    assert said == b""
    assert after < 5


def test_a_second_request_has_its_own_timer() -> None:
    said, after = talk([b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / HTTP/1.1\r\nHo"])
    assert said.startswith(b"HTTP/1.1 204")
    assert after < 5


def test_a_head_that_never_ends_is_refused_by_size() -> None:
    said, _ = talk([b"GET / HTTP/1.1\r\n", *[b"A: %s\r\n" % (b"x" * 100) for _ in range(40)]], seconds=30)
    assert said.startswith(b"HTTP/1.1 400")
