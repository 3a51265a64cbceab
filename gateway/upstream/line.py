"""One connection to the image service behind the gateway: a call at a time, its answer as it comes.

Its answers are read by the parser that reads our own requests, httptools. A client library made the gateway's own part
of a small call three times as long, and most calls are small.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import AsyncIterator
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

MOST_WAITING = 1 << 18
"""Bytes of an answer that are taken before somebody reads them."""

LONGEST_HEAD = 1 << 18
"""Of bytes that are no body: a head, and what stands between and behind the pieces of a body."""


class Broken(Exception):
    """The connection ended before the answer did, or what came is no answer."""


class Line(asyncio.Protocol):
    """Made within an event loop. `silence` is the longest wait for anything to happen, in seconds.

    Every wait raises Broken or TimeoutError. Close it with `close` unless it is `reusable`.
    """

    def __init__(self, silence: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._silence = silence
        self._transport: asyncio.Transport | None = None
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self._changed: asyncio.Future[None] | None = None
        self._full = False
        self._lost = ""
        self.calls = 0
        self._begin()
        self._ended = True

    def _begin(self, verb: str = "") -> None:
        self._verb = verb
        self._sent = False
        self._pieces: list[bytes] = []
        self._waiting = 0
        self._status: int | None = None
        self._bare = 0
        self._keeps = False
        self._ended = False
        self.heard = 0
        self.headers: list[tuple[bytes, bytes]] = []

    async def ask(self, verb: str, head: bytes, body: AsyncIterator[bytes] | bytes) -> int:
        """Send one request, and wait for the status of its answer; `body` is framed already."""
        assert self._transport is not None
        self._begin(verb)
        self.calls += 1
        if isinstance(body, bytes):
            self._transport.write(head + body)
            self._sent = True
        else:
            self._transport.write(head)
            await self._send(body)
        while self._status is None:
            await self._change()
        return self._status

    async def body(self) -> AsyncIterator[bytes]:
        while self._pieces or not self._ended:
            if self._pieces:
                yield self._taken()
            else:
                await self._change()

    @property
    def over(self) -> bool:
        """Whether all of the answer has been read."""
        return self._ended and not self._pieces

    @property
    def reusable(self) -> bool:
        """Whether another call may follow: both sides have said all they had to, and want to go on."""
        return self.over and self._sent and self._keeps and self.alive

    @property
    def alive(self) -> bool:
        return not self._lost and self._transport is not None and not self._transport.is_closing()

    @property
    def quiet(self) -> bool:
        """Whether nothing has come since the answer, not even what the loop has yet to tell of.

        What came before a call was asked is not its answer.
        """
        return self.alive and not _has_said(cast(asyncio.Transport, self._transport))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def _send(self, body: AsyncIterator[bytes]) -> None:
        """To its end, or until the other side has heard enough: what it said is worth more than a broken connection."""
        assert self._transport is not None
        async for chunk in body:
            while self._full and not self._answered:
                await self._change()
            if self._answered:
                return
            self._transport.write(chunk)
        self._sent = True

    @property
    def _answered(self) -> bool:
        return self._status is not None or bool(self._lost)

    def _taken(self) -> bytes:
        assert self._transport is not None
        taken = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        if self._waiting > MOST_WAITING and self.alive:
            self._transport.resume_reading()
        self._waiting = 0
        return taken

    async def _change(self) -> None:
        """Wait until anything has happened."""
        if self._lost:
            raise Broken(self._lost)
        self._changed = changed = self._loop.create_future()
        timer = self._loop.call_later(self._silence, self._silent)
        try:
            await changed
        finally:
            timer.cancel()
            self._changed = None

    def _happened(self, error: Exception | None = None) -> None:
        if self._changed is not None and not self._changed.done():
            if error is None:
                self._changed.set_result(None)
            else:
                self._changed.set_exception(error)

    def _silent(self) -> None:
        self._happened(TimeoutError(f"nothing happened for {self._silence:g} s"))

    # What the event loop says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._ended or self._parser is None:
            self._break("it said more than it was asked")
            return
        self.heard += len(data)
        self._bare += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._break(str(error))
        if not self._ended and self._bare > LONGEST_HEAD:
            self._break("its head or its trailer does not end")
        self._happened()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is None and self._status is not None and not self._framed():
            self._ended = True
        self._lost = self._lost or (str(exc or "") or "the connection ended")
        self._parser = None  # it holds us: hundreds a second would wait for the collector
        self._happened()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._happened()

    def _break(self, why: str) -> None:
        self._lost = why or "what it said is no answer"
        self.close()

    def _framed(self) -> bool:
        """Whether the answer says itself where it ends (RFC 9112, 6.3); one that does not ends with the connection."""
        return any(name.lower() in (b"content-length", b"transfer-encoding") for name, _ in self.headers)

    # What the parser says; what is raised here it raises as its own.

    def on_message_begin(self) -> None:
        if self._ended:
            raise Broken("it said more than it was asked")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._status is None:  # else it is a trailer
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            self.headers = []  # it has heard us, and goes on to answer
            return
        if not 200 <= status < 600:
            raise Broken(f"{status} is no status (RFC 9110, 15)")
        codings = [value.strip().lower() for name, value in self.headers if name.lower() == b"transfer-encoding"]
        if codings not in ([], [b"chunked"]):
            raise Broken("it says its end in a way nobody asked for")
        self._status = status
        self._keeps = self._parser.should_keep_alive()
        if self._verb == "HEAD":
            self._ended, self._keeps = True, False  # its length is that of a body which does not come

    def on_body(self, body: bytes) -> None:
        if self._ended:
            return
        self._bare = 0
        self._pieces.append(body)
        paused = self._waiting > MOST_WAITING
        self._waiting += len(body)
        if self._waiting > MOST_WAITING and not paused and self._transport is not None:
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        self._ended = self._status is not None


def _has_said(transport: asyncio.Transport) -> bool:
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
    return bool(poll.poll(0))
