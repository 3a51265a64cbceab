"""What ASGI cannot see: a request while it arrives. uvicorn's httptools protocol, with a timer and a cap for heads.

A client that sends its head too slowly is cut off ("timers: headers 10 s"), and so is one whose head never ends; a
head that ends within twice the guard's limit is refused by the guard, in words.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_AHEAD = 2 << 20
"""Bytes of bodies that wait, of all connections together: each reads its share at once, and waits with it."""
LEAST_RUN, MOST_RUN = 64 << 10, 256 << 10
"""Smaller ones cost more than they spare; larger ones gain nothing."""


class Runs(asyncio.BufferedProtocol):
    """Bytes go to the parser out of one buffer, which all connections share: it has seen them before the next read."""

    def __init__(self, inner: HttpToolsProtocol, buffer: memoryview) -> None:
        self._buffer = buffer
        self._connections = inner.connections
        self._take = cast(Callable[[memoryview], None], inner.data_received)  # the parser takes any buffer
        self.connection_made = inner.connection_made  # type: ignore[method-assign, assignment]
        self.connection_lost = inner.connection_lost  # type: ignore[method-assign]
        self.pause_writing = inner.pause_writing  # type: ignore[method-assign]
        self.resume_writing = inner.resume_writing  # type: ignore[method-assign]
        self.eof_received = inner.eof_received  # type: ignore[method-assign]

    def get_buffer(self, sizehint: int) -> memoryview:
        share = MOST_AHEAD // max(1, len(self._connections))
        return self._buffer[: min(MOST_RUN, max(LEAST_RUN, share))]

    def buffer_updated(self, nbytes: int) -> None:
        self._take(self._buffer[:nbytes])


class TimedHead(HttpToolsProtocol):
    """`seconds` for a whole head, `limit` in bytes of request line and headers; see `timed_head`."""

    seconds: float
    limit: int
    _timer: asyncio.TimerHandle | None = None
    _head = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head = 0
        self._start_timer()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + 4)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._stop_timer()
        super().on_headers_complete()

    def _count(self, length: int) -> None:
        self._head += length
        if self._head > 2 * self.limit:
            # The parser turns any error of a callback into its own, and the protocol answers 400 and closes.
            raise ValueError("the request's head does not end")

    def _start_timer(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(self.seconds, self.transport.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def timed_head(seconds: float, limit: int) -> type[asyncio.Protocol]:
    """What `uvicorn.Config(http=...)` makes protocols with, which takes no arguments for them."""
    kind = type("TimedHead", (TimedHead,), {"seconds": seconds, "limit": limit})
    buffer = memoryview(bytearray(MOST_RUN))
    return cast(type[asyncio.Protocol], lambda **given: Runs(kind(**given), buffer))
