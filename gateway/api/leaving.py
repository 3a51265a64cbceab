"""Clients that leave before their answer is whole: the server takes what is sent to them, and throws it away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.types import Receive


@asynccontextmanager
async def watched(receive: Receive) -> AsyncIterator[Callable[[], bool]]:
    """Gives whether the client has left, while an answer is sent to it; its body is not read any more."""
    watch = asyncio.create_task(_left(receive))
    try:
        yield watch.done
    finally:
        watch.cancel()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
