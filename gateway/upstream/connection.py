"""Calls to the image service behind the gateway, streamed both ways.

Nothing is added to a call but the way it takes: the target is built anew from the decoded path, so that both servers
read the same one; headers of one connection alone stay on it (RFC 9110, 7.6.1).
"""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, quote, urlsplit

import httpcore

from gateway.model.errors import Unavailable

Headers = Sequence[tuple[bytes, bytes]]

Took = Callable[[int | None, float], None]
"""Told of every call: the status of its answer, None where there was none, and the seconds until it began."""

KEEP_SECONDS = 2.0
"""Shorter than any server's own patience: a connection that ends as we use it would be a needless 503."""

MOST_CONNECTIONS = 256
HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization", b"te"}
    | {b"trailer", b"transfer-encoding", b"upgrade"}
)
"""Headers that are about one connection."""

_DROPPED = HOP | {b"expect", b"accept-encoding", b"forwarded", b"host"}
_FORWARDED = b"x-forwarded-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the image service is: `endpoint` without /v2. `timeout` is the longest silence in seconds."""

    endpoint: str
    ca_file: Path | None = None
    timeout: float = 60.0


def unheard(status: int | None, seconds: float) -> None:
    """A Took for those who count nothing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer whose body is still to come; `headers` without those of the connection it came by."""

    status: int
    headers: Headers
    body: AsyncIterator[bytes]


class Connection:
    """Close it with `aclose`. Every call raises Unavailable (`upstream-away`) where the service does not answer."""

    def __init__(self, place: Place, took: Took = unheard) -> None:
        self._took = took
        self._base: SplitResult = urlsplit(place.endpoint.rstrip("/"))
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(cafile=str(place.ca_file) if place.ca_file else None),
            max_connections=MOST_CONNECTIONS,
            keepalive_expiry=KEEP_SECONDS,
        )
        silence = place.timeout
        self._timeout = {"connect": min(10.0, silence), "read": silence, "write": silence, "pool": silence}

    async def aclose(self) -> None:
        await self._pool.aclose()

    @property
    def host(self) -> bytes:
        """The Host header of its own endpoint."""
        return self._base.netloc.encode()

    @asynccontextmanager
    async def ask(
        self,
        verb: str,
        path: str,
        query: bytes = b"",
        headers: Headers = (),
        body: AsyncIterator[bytes] | bytes = b"",
        *,
        host: bytes | None = None,
    ) -> AsyncIterator[Answer]:
        """One call; `path` is decoded. `host` is the name links in the answer shall be built from."""
        target = quote(self._base.path + path).encode() + (b"?" + query if query else b"")
        url = httpcore.URL(
            scheme=self._base.scheme.encode(),
            host=(self._base.hostname or "").encode(),
            port=self._base.port,
            target=target,
        )
        request = httpcore.Request(
            verb,
            url,
            headers=[(b"Host", host or self.host), (b"Accept-Encoding", b"identity"), *framed(verb, headers, body)],
            content=body,
            extensions={"timeout": self._timeout},
        )
        began = time.monotonic()
        try:
            response = await self._pool.handle_async_request(request)
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as error:
            self._took(None, time.monotonic() - began)
            raise away(f"{verb} {path}") from error
        self._took(response.status, time.monotonic() - began)
        try:
            yield Answer(response.status, kept(response.headers, HOP), _body(response, verb, path))
        finally:
            await response.aclose()


def framed(verb: str, headers: Headers, body: AsyncIterator[bytes] | bytes) -> Headers:
    """Each connection is framed anew (RFC 9112, 6): another body may be sent than came, or without a length."""
    if not isinstance(body, bytes):
        known = any(name.lower() == b"content-length" for name, _ in headers)
        return headers if known else [*headers, (b"Transfer-Encoding", b"chunked")]
    length = [(b"Content-Length", str(len(body)).encode())] if body or verb in ("POST", "PUT", "PATCH") else []
    return [*kept(headers, frozenset({b"content-length"})), *length]


def passed(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers of a request that may go on. What says who a client came by is said by those it came by."""
    found = list(headers)
    named = {name.strip().lower() for key, value in found if key == b"connection" for name in value.split(b",")}
    return [(k, v) for k, v in kept(found, _DROPPED | named) if not k.startswith(_FORWARDED)]


def kept(headers: Iterable[tuple[bytes, bytes]], dropped: frozenset[bytes] | set[bytes]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name.lower() not in dropped]


async def _body(response: httpcore.Response, verb: str, path: str) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.aiter_stream():
            yield chunk
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
        raise away(f"{verb} {path}") from error


def away(call: str) -> Unavailable:
    return Unavailable(
        f"The image service behind the gateway did not answer {call}.",
        remedy="Try again in a few seconds.",
        code="upstream-away",
    )
