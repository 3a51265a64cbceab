"""The connections to the image service behind the gateway, kept for a moment for the next call."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator

from gateway.upstream.line import Broken, Line

KEEP_SECONDS = 2.0
"""Shorter than any server's own patience: a connection that ends as we use it would be a needless 503."""

MOST = 256
AGAIN = frozenset({"GET", "HEAD"})
"""May be sent twice, where a kept connection ended without a word (RFC 9110, 9.2.2)."""


class Lines:
    """To one address, over TLS where there is a `tls`. `silence` is as of `Line`, and bounds the wait for a place."""

    def __init__(self, host: str, port: int, *, tls: ssl.SSLContext | None, silence: float) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._silence = silence
        self._places = asyncio.Semaphore(MOST)
        self._kept: deque[tuple[float, Line]] = deque()

    def close(self) -> None:
        while self._kept:
            self._kept.pop()[1].close()

    async def ask(self, verb: str, head: bytes, body: AsyncIterator[bytes] | bytes) -> tuple[int, Line]:
        """The status of the answer, and the line the rest comes by: give it `back`. Raises Broken and OSError."""
        await self._place()
        line: Line | None = None
        try:
            line = self._at_hand() or await self._new()
            try:
                return await line.ask(verb, head, body), line
            except Broken:
                if line.heard or line.calls == 1 or verb not in AGAIN or not isinstance(body, bytes):
                    raise
            line = await self._new()
            return await line.ask(verb, head, body), line
        except BaseException:  # goes on to the caller; the place is free again
            self.back(line)
            raise

    def back(self, line: Line | None) -> None:
        """None gives back the place alone."""
        self._places.release()
        if line is None:
            return
        if line.reusable:
            self._kept.append((time.monotonic(), line))
        else:
            line.close()

    async def _place(self) -> None:
        if self._places.locked():
            async with asyncio.timeout(self._silence):
                await self._places.acquire()
        else:
            await self._places.acquire()

    def _at_hand(self) -> Line | None:
        """The one that was used last; those that were not for too long are closed."""
        oldest = time.monotonic() - KEEP_SECONDS
        while self._kept and (self._kept[0][0] < oldest or not self._kept[0][1].alive):
            self._kept.popleft()[1].close()
        while self._kept:
            line = self._kept.pop()[1]
            if line.quiet:
                return line
            line.close()
        return None

    async def _new(self) -> Line:
        async with asyncio.timeout(min(10.0, self._silence)):
            _, line = await asyncio.get_running_loop().create_connection(
                lambda: Line(self._silence),
                self._host,
                self._port,
                ssl=self._tls,
                server_hostname=self._host if self._tls else None,
            )
        return line
