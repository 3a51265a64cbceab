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

from gateway.model.errors import Unavailable
from gateway.upstream.line import Broken, Line
from gateway.upstream.lines import Lines

Headers = Sequence[tuple[bytes, bytes]]

Took = Callable[[int | None, float], None]
"""Told of every call: the status of its answer, None where there was none, and the seconds until it began."""

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
    _line: Line

    @property
    def over(self) -> bool:
        """Whether all of the body has been read."""
        return self._line.over


class Connection:
    """Close it with `aclose`. Every call raises Unavailable (`upstream-away`) where the service does not answer."""

    def __init__(self, place: Place, took: Took = unheard) -> None:
        self._took = took
        self._base: SplitResult = urlsplit(place.endpoint.rstrip("/"))
        secure = self._base.scheme == "https"
        self._lines = Lines(
            self._base.hostname or "",
            self._base.port or (443 if secure else 80),
            tls=ssl.create_default_context(cafile=str(place.ca_file) if place.ca_file else None) if secure else None,
            silence=place.timeout,
        )

    async def aclose(self) -> None:
        self._lines.close()

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
        named = [(b"Host", host or self.host), (b"Accept-Encoding", b"identity")]
        head, sent = request(verb, target, [*named, *headers], body)
        began = time.monotonic()
        try:
            status, line = await self._lines.ask(verb, head, sent)
        except (Broken, OSError) as error:
            self._took(None, time.monotonic() - began)
            raise away(f"{verb} {path}") from error
        self._took(status, time.monotonic() - began)
        try:
            yield Answer(status, kept(line.headers, HOP), _body(line, verb, path), line)
        finally:
            self._lines.back(line)


def request(
    verb: str, target: bytes, headers: Headers, body: AsyncIterator[bytes] | bytes
) -> tuple[bytes, AsyncIterator[bytes] | bytes]:
    """The head of a request, and its body as it travels. Raises ValueError for headers that would be other headers."""
    lines = [verb.encode() + b" " + target + b" HTTP/1.1", *(b": ".join(pair) for pair in framed(verb, headers, body))]
    if any(b"\r" in one or b"\n" in one for one in lines):
        raise ValueError(f"a header of {verb} {target!r} has a line break")
    head = b"\r\n".join((*lines, b"", b""))
    return head, body if isinstance(body, bytes) or _has_length(headers) else _chunks(body)


async def _chunks(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """RFC 9112, 7.1."""
    async for piece in body:
        if piece:
            yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def framed(verb: str, headers: Headers, body: AsyncIterator[bytes] | bytes) -> Headers:
    """Each connection is framed anew (RFC 9112, 6): another body may be sent than came, or without a length."""
    if not isinstance(body, bytes):
        return headers if _has_length(headers) else [*headers, (b"Transfer-Encoding", b"chunked")]
    length = [(b"Content-Length", str(len(body)).encode())] if body or verb in ("POST", "PUT", "PATCH") else []
    return [*kept(headers, frozenset({b"content-length"})), *length]


def _has_length(headers: Headers) -> bool:
    return any(name.lower() == b"content-length" for name, _ in headers)


def passed(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers of a request that may go on. What says who a client came by is said by those it came by.

    A name with an underscore is another name to some servers: the same with a hyphen (RFC 3875, 4.1.18).
    """
    found = list(headers)
    named = {name.strip().lower() for key, value in found if key == b"connection" for name in value.split(b",")}
    return [(k, v) for k, v in kept(found, _DROPPED | named) if not k.startswith(_FORWARDED) and b"_" not in k]


def kept(headers: Iterable[tuple[bytes, bytes]], dropped: frozenset[bytes] | set[bytes]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name.lower() not in dropped]


async def _body(line: Line, verb: str, path: str) -> AsyncIterator[bytes]:
    try:
        async for chunk in line.body():
            yield chunk
    except (Broken, TimeoutError) as error:
        raise away(f"{verb} {path}") from error


def away(call: str) -> Unavailable:
    return Unavailable(
        f"The image service behind the gateway did not answer {call}.",
        remedy="Try again in a few seconds.",
        code="upstream-away",
    )
