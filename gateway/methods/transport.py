"""httpx over the pinned network: one transport for one hop, its connection used once."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import cast

import httpcore
import httpx


class PinnedTransport(httpx.BaseTransport):
    """Hands httpx's requests to an httpcore pool whose only way out is `backend`. No environment, no proxies.

    Errors of httpcore and refusals of the backend pass unchanged.
    """

    def __init__(self, backend: httpcore.NetworkBackend, trust: ssl.SSLContext) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=trust, max_connections=1, max_keepalive_connections=0, network_backend=backend
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        response = self._pool.handle_request(
            httpcore.Request(request.method, url, headers=request.headers.raw, content=request.content)
        )
        return httpx.Response(response.status, headers=response.headers, stream=_Body(response))

    def close(self) -> None:
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        return iter(cast(Iterable[bytes], self._response.stream))

    def close(self) -> None:
        self._response.close()


@cache
def trust(ca_file: Path | None) -> ssl.SSLContext:
    """Certificates of the authorities in `ca_file`, or of the built-in ones; never those the environment names.

    Read once for the life of the process: a context is slow to make and safe to share.
    """
    return ssl.create_default_context(cafile=ca_file) if ca_file else httpx.create_ssl_context(trust_env=False)


def quiet() -> None:
    """Keep httpcore's own log down: at debug level it writes Location headers, signatures included."""
    logging.getLogger("httpcore").setLevel(logging.WARNING)
