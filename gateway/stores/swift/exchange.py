"""Requests and their answers, once: no token, no second try, no opinion about a status."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpcore

from gateway.model.errors import BadRequest
from gateway.ports import Block
from gateway.stores.swift.line import Dialler, Patience

LONGEST_ANSWER = 16 << 20
KEEP_SECONDS = 4.0
"""Shorter than a server's own patience: a stream of bytes cannot be sent again on another connection."""
KEPT_CONNECTIONS = 16

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` have lower-case names. Neither is shown: a login's answer has a token in it."""

    status: int
    headers: Headers = field(repr=False)
    body: bytes = field(default=b"", repr=False)


class Exchange:
    """Connections kept open between requests. Safe to use from many threads at once.

    `timeout` in seconds is for one exchange, and for one wait of those that carry a blob. All calls raise what
    httpcore raises.
    """

    def __init__(self, timeout: float, ca_file: Path | None) -> None:
        # At debug level httpcore writes down whole heads, tokens included.
        logging.getLogger("httpcore").setLevel(logging.WARNING)
        self._timeout = timeout
        self._patience = Patience(timeout)
        self._pool = httpcore.ConnectionPool(
            ssl_context=_certificates(ca_file),
            max_connections=None,
            max_keepalive_connections=KEPT_CONNECTIONS,
            keepalive_expiry=KEEP_SECONDS,
            network_backend=Dialler(self._patience),
        )

    def ask(self, verb: str, url: str, headers: Headers, body: bytes = b"", more_seconds: float = 0) -> Answer:
        """One request and its whole answer."""
        sized = {**headers, "Content-Length": str(len(body))} if body or verb in ("PUT", "POST") else headers
        with self._patience.limited(self._timeout + more_seconds):
            return _whole(self._pool.handle_request(_request(verb, url, sized, [body] if body else None)))

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
