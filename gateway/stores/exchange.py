"""Requests and their answers, once: no token, no second try, no opinion about a status."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import httpcore

from gateway.model.errors import BadRequest
from gateway.ports import Block
from gateway.stores.line import READ, Dialler, Patience

LONGEST_ANSWER = 16 << 20
KEEP_SECONDS = 4.0
"""Shorter than a server's own patience: a stream of bytes cannot be sent again on another connection."""
KEPT_CONNECTIONS = 16

LOST = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError)
"""What a connection may do in the middle of an exchange."""
LATE = httpcore.TimeoutException
"""That of them which is silence."""

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` have lower-case names. Neither is shown: a login's answer has a token in it."""

    status: int
    headers: Headers = field(repr=False)
    body: bytes = field(default=b"", repr=False)


class Body(Protocol):
    """What is too large to be held: its length, and its bytes in pieces, from the start at each iteration."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes]: ...


class Exchange:
    """Connections kept open between requests. Safe to use from many threads at once.

    `timeout` in seconds is for one exchange, and for one wait of those that carry a blob. `read` bytes of an answer
    are taken at once: memory for each connection. All calls raise what httpcore raises.
    """

    def __init__(self, timeout: float, ca_file: Path | None, read: int = READ) -> None:
        # At debug level httpcore writes down whole heads, tokens included.
        logging.getLogger("httpcore").setLevel(logging.WARNING)
        self._timeout = timeout
        self._patience = Patience(timeout)
        self._pool = httpcore.ConnectionPool(
            ssl_context=_certificates(ca_file),
            max_connections=None,
            max_keepalive_connections=KEPT_CONNECTIONS,
            keepalive_expiry=KEEP_SECONDS,
            network_backend=Dialler(self._patience, read),
        )

    def ask(self, verb: str, url: str, headers: Headers, body: bytes | Body = b"", more_seconds: float = 0) -> Answer:
        """One request and its whole answer."""
        sized = {**headers, "Content-Length": str(len(body))} if body or verb in ("PUT", "POST") else headers
        content = [body] if isinstance(body, bytes) else body
        with self._patience.limited(self._timeout + more_seconds):
            return _whole(self._pool.handle_request(_request(verb, url, sized, content if body else None)))

    def send(self, url: str, headers: Headers, blocks: Iterable[Block]) -> Answer:
        """PUT a body of unknown length. What the blocks raise passes, and the server is left without their end."""
        chunked = {**headers, "Transfer-Encoding": "chunked"}
        return _whole(self._pool.handle_request(_request("PUT", url, chunked, blocks)))

    def open(self, url: str, headers: Headers) -> httpcore.Response:
        """GET; whoever calls closes the response."""
        with self._patience.limited(self._timeout):
            return self._pool.handle_request(_request("GET", url, headers, None))

    def close(self) -> None:
        self._pool.close()


def _request(verb: str, url: str, headers: Headers, content: Iterable[Block] | None) -> httpcore.Request:
    # h11 takes any buffer; httpcore's types know of bytes alone.
    return httpcore.Request(
        verb,
        url,
        headers=[("Host", urlsplit(url).netloc), *headers.items()],
        content=content,  # type: ignore[arg-type]
    )


def _whole(response: httpcore.Response) -> Answer:
    body = bytearray()
    try:
        for piece in response.iter_stream():
            body += piece
            if len(body) > LONGEST_ANSWER:
                raise httpcore.RemoteProtocolError(f"an answer longer than {LONGEST_ANSWER} bytes")
    finally:
        response.close()
    return Answer(response.status, named(response), bytes(body))


def named(response: httpcore.Response) -> Headers:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}


def _certificates(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise BadRequest(
            f"The certificates of ca_file {ca_file} cannot be read: {error}.",
            remedy="Name a file of PEM certificates, or leave the key out.",
        ) from None
