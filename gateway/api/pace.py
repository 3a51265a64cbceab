"""The pace of a request body: a stalled upload is told to fail, it never holds its place for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import Message, Receive

from gateway.api.framing import FrontLimits
from gateway.model.errors import BrokenUpload


class PacedBody:
    """A `receive` that raises BrokenUpload when the client stalls, trickles or goes away before its body's end.

    Time counts only while the service waits for the client. Once the body is whole, or the answer has started, a
    disconnect is passed on as the message it is.
    """

    def __init__(
        self, receive: Receive, limits: FrontLimits, clock: Callable[[], float], answered: Callable[[], bool]
    ) -> None:
        self._receive = receive
        self._limits = limits
        self._clock = clock
        self._answered = answered
        self._whole = False
        self._waited = 0.0
        self._received = 0

    async def __call__(self) -> Message:
        if self._whole or self._answered():
            return await self._receive()
        message = await self._next()
        if message["type"] == "http.disconnect":
            raise BrokenUpload(
                f"The client went away after {self._received} bytes.", remedy="Send it again.", code="client-gone"
            )
        self._count(message)
        return message

    async def _next(self) -> Message:
        began = self._clock()
        try:
            async with asyncio.timeout(self._limits.idle):
                return await self._receive()
        except TimeoutError:
            raise self._stalled(f"no bytes came for {self._limits.idle:g} s") from None
        finally:
            self._waited += self._clock() - began

    def _count(self, message: Message) -> None:
        self._received += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        slow = self._received < self._limits.rate * self._waited
        if slow and not self._whole and self._waited > self._limits.grace:
            raise self._stalled(f"it came at less than {self._limits.rate} bytes a second")

    def _stalled(self, how: str) -> BrokenUpload:
        return BrokenUpload(
            f"The upload stalled after {self._received} bytes: {how}.",
            remedy="Send it again over a better connection.",
            code="upload-stalled",
        )
