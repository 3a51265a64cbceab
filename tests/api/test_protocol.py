"""Heads that never end, by time or by size, over a real socket."""

from __future__ import annotations

import asyncio
import socket

import uvicorn
from starlette.types import Receive, Scope, Send

from gateway.api.protocol import timed_head
from tests.serving.process import LONGEST


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


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

    async def scene() -> bytes:
        config = uvicorn.Config(
            hello,
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

    return asyncio.run(scene())


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
