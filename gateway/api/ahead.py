"""Blocks of a download, read in a thread while others are sent.

A thread reads on until there is no room, and leaves: none waits for a slow client, nor for its turn at each block.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Semaphore

AHEAD = 3
"""Blocks that are read before they can be sent."""

_readers = ThreadPoolExecutor(max_workers=256, thread_name_prefix="downloads")


class Ahead:
    """Made and used within one event loop. `sent` raises what `blocks` raises; an empty block is their end."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._loop = asyncio.get_running_loop()
        self._came = asyncio.Queue[bytes]()
        self._room = Semaphore(AHEAD)
        self._reading: asyncio.Future[bool] | None = None
        self._begin()

    async def sent(self) -> AsyncGenerator[bytes]:
        while block := await self._came.get():
            self._room.release()
            if self._reading is None:
                self._begin()
            yield block
        if self._reading is not None:
            await self._reading

    def _begin(self) -> None:
        self._reading = self._loop.run_in_executor(_readers, self._read)
        self._reading.add_done_callback(self._left)

    def _read(self) -> bool:
        """Whether there may be more once there is room again."""
        while self._room.acquire(blocking=False):
            block = next(self._blocks, b"")
            self._loop.call_soon_threadsafe(self._came.put_nowait, block)
            if not block:
                return False
        return True

    def _left(self, reading: asyncio.Future[bool]) -> None:
        """Room may have been made just when the thread found none. What has ended, well or not, stays `_reading`."""
        if reading.cancelled() or reading.exception() is not None:
            self._came.put_nowait(b"")
        elif reading.result():
            self._reading = None
            if self._came.qsize() < AHEAD:
                self._begin()
