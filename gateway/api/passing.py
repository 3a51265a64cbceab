"""Calls that go on to the image service behind the gateway, under the caller's own token, streamed both ways."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, closing
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.api.ahead import Ahead
from gateway.api.bodies import expect_no_body
from gateway.api.leaving import watched
from gateway.api.request_id import HEADER, request_id
from gateway.model.errors import Unavailable
from gateway.upstream import Answer, Carrier, Coming, Connection
from gateway.upstream.connection import Headers, kept, passed

LONGEST_ANSWER = 16 << 20
"""Of an answer that is looked at before it goes on: a page of a list has a thousand images at most."""


@dataclass(frozen=True, slots=True)
class Passing:
    """`public_host` is what the service behind builds its links from; None is each request's own Host."""

    connection: Connection
    carrier: Carrier
    public_host: bytes | None = None

    async def on(self, request: Request) -> Response:
        """The call as it came, the answer as it is."""
        return Streamed(self.asked(request, _body(request)))

    async def download(self, request: Request) -> Response:
        """The data of an image, read in worker threads."""
        expect_no_body(request)
        scope = request.scope
        headers = [*self._headers(request), (b"host", self._host(request))]
        return Carried(await run_in_threadpool(self.carrier.get, scope["path"], scope["query_string"], headers))

    async def read(self, request: Request, body: bytes | None = None) -> Read:
        """The whole answer. `body` is what was read of the request already; without it the request's own goes on."""
        async with self.asked(request, _body(request) if body is None else body) as answer:
            content = bytearray()
            async for chunk in answer.body:
                content += chunk
                if len(content) > LONGEST_ANSWER:
                    raise Unavailable("The image service behind the gateway does not end its answer.")
            return Read(answer.status, list(answer.headers), bytes(content))

    def asked(self, request: Request, body: AsyncIterator[bytes] | bytes) -> AbstractAsyncContextManager[Answer]:
        scope = request.scope
        return self.connection.ask(
            scope["method"],
            scope["path"],
            scope["query_string"],
            self._headers(request),
            body,
            host=self._host(request),
        )

    def _headers(self, request: Request) -> Headers:
        """Both services log the call under one id."""
        found = [(name, value) for name, value in passed(request.headers.raw) if name != HEADER.encode()]
        return [*found, (HEADER.encode(), request_id(request.scope).encode())]

    def _host(self, request: Request) -> bytes:
        return self.public_host or request.headers["host"].encode()


@dataclass(frozen=True, slots=True)
class Read:
    """An answer that was read."""

    status: int
    headers: Headers
    body: bytes

    def response(self, body: bytes | None = None, more: Headers = ()) -> Response:
        """The answer, with another body or `more` headers."""
        content = self.body if body is None else body
        named = {name.lower() for name, _ in more} | {b"content-length"}
        response = Response(content, self.status)
        kept = [(name.lower(), value) for name, value in self.headers if name.lower() not in named]
        response.raw_headers = [*kept, *more, (b"content-length", str(len(content)).encode())]
        return response


class Streamed(Response):
    """An answer that goes on as it comes, until its client leaves."""

    def __init__(self, asked: AbstractAsyncContextManager[Answer]) -> None:
        super().__init__()
        self._asked = asked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._asked as answer:
            await send(_head(answer.status, answer.headers))
            # Most answers are one piece, and their clients need no watching.
            await send(_piece(await anext(answer.body, b""), more=not answer.over))
            if not answer.over:
                await _sent(answer.body, receive, send)


class Carried(Response):
    """Image data on its way, until its client leaves."""

    def __init__(self, coming: Coming) -> None:
        super().__init__()
        self._coming = coming

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with closing(self._coming) as coming:
            await send(_head(coming.status, coming.headers))
            async with aclosing(Ahead(coming.blocks).sent()) as blocks:
                await _sent(blocks, receive, send)


async def _sent(pieces: AsyncIterator[bytes], receive: Receive, send: Send) -> None:
    async with watched(receive) as gone:
        async for piece in pieces:
            if gone():
                return
            await send(_piece(piece))
    await send(_piece(b"", more=False))


def _piece(content: bytes, *, more: bool = True) -> dict[str, object]:
    return {"type": "http.response.body", "body": content, "more_body": more}


def _head(status: int, headers: Headers) -> dict[str, object]:
    """Answers without a body are sent without a length (RFC 9110, 8.6), which would be waited for."""
    lowered = [(name.lower(), value) for name, value in headers]
    told = kept(lowered, {b"content-length"}) if status in (204, 304) else lowered
    return {"type": "http.response.start", "status": status, "headers": told}


def _body(request: Request) -> AsyncIterator[bytes] | bytes:
    announced = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    return request.stream() if announced else b""
