"""A server that says what it is told to, byte by byte, and calls to it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import uvloop

from gateway.upstream import Connection, Place
from gateway.upstream.connection import Headers

GENEROUS = 60
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CLOSING = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


@dataclass
class Server:
    """Each request is answered with the next of `answers`, piece by piece, the last one again and again.

    After an answer that has None at its end the connection is closed. What came is in `requests`, one list for each
    connection.
    """

    answers: Sequence[Iterable[bytes | None]]
    requests: list[list[bytes]] = field(default_factory=list)
    url: str = ""
    said: int = 0
    given: int = 0

    @asynccontextmanager
    async def serving(self, certificate: Path | None = None) -> AsyncIterator[Connection]:
        tls = None
        if certificate is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(certificate)
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        port = server.sockets[0].getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        connection = Connection(Place(endpoint=self.url, ca_file=certificate, timeout=GENEROUS))
        try:
            async with asyncio.timeout(GENEROUS):
                yield connection
        finally:
            await connection.aclose()
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append([])
        try:
            while await self._answer(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests[-1].append(head + await _sent(reader, head))
        pieces = self.answers[min(self.given, len(self.answers) - 1)]
        self.given += 1
        for piece in pieces:
            if piece is None:
                return False
            writer.write(piece)
            await writer.drain()
            self.said += len(piece)
        return True


async def _sent(reader: asyncio.StreamReader, head: bytes) -> bytes:
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return await reader.readexactly(int(line.partition(b":")[2]))
        if line.lower() == b"transfer-encoding: chunked":
            return await reader.readuntil(b"0\r\n\r\n")
    return b""


Said = tuple[int, list[tuple[bytes, bytes]], bytes]


async def call(
    connection: Connection, verb: str = "GET", body: AsyncIterator[bytes] | bytes = b"", headers: Headers = ()
) -> Said:
    async with connection.ask(verb, "/v2/images", headers=headers, body=body) as answer:
        found = b"".join([chunk async for chunk in answer.body])
        assert answer.over
        return answer.status, list(answer.headers), found


def with_server(server: Server, work: Callable[[Connection], Awaitable[object]]) -> None:
    async def run() -> None:
        async with server.serving() as connection:
            await work(connection)

    uvloop.run(run())


def cut(content: bytes, places: Iterable[int]) -> list[bytes]:
    marks = sorted({0, len(content), *(place % (len(content) + 1) for place in places)})
    return [content[start:end] for start, end in pairwise(marks)]
