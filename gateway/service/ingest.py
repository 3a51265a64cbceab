"""The bridge between the event loop and the thread that stores bytes: a ring of preallocated blocks.

The loop fills blocks from the request, a worker thread drains them; hashing and disk calls never run on the loop.
Memory is the ring's size whatever the image's. Either side can end it: the loop by `close`, the thread by leaving
the iterator, which wakes a waiting `write`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from mmap import mmap
from queue import SimpleQueue

from gateway.ports import BLOCK_SIZE, LASTING


class Ring:
    """One producer on the loop (`write`, `close`), one consumer in a thread (`blocks`)."""

    def __init__(self, blocks: int = 8, size: int = BLOCK_SIZE) -> None:
        self._loop = asyncio.get_running_loop()
        self._size = size
        # Those that last while they are hashed are beside the ones on their way.
        # Mapped, so that they go back to the system at the end; the one that was used last is used next, so that those
        # a quick store never needs stay untouched.
        self._free = [mmap(-1, size) for _ in range(blocks + LASTING - 1)]
        self._full: SimpleQueue[tuple[mmap, int] | BaseException | None] = SimpleQueue()
        self._freed = asyncio.Event()
        self._block: mmap | None = None
        self._filled = 0
        self._drained = False
        self.given_up = False

    async def write(self, chunk: bytes) -> bool:
        """Take a chunk of any size. False once the consumer has left: what follows is of no use to anybody."""
        view = memoryview(chunk)
        while view and not self._drained:
            block = self._block or await self._next_free()
            if block is None:
                break
            taken = min(len(view), self._size - self._filled)
            block[self._filled : self._filled + taken] = view[:taken]
            self._filled += taken
            view = view[taken:]
            if self._filled == self._size:
                self._push()
        return not self._drained

    def close(self, error: BaseException | None = None) -> None:
        """No more bytes: the consumer sees the end, or `error` raised from its iterator."""
        if error is None and self._filled:
            self._push()
        self._full.put(error)

    async def fail(self, error: BaseException) -> None:
        """The consumer sees `error` next, even while it waits for a slow client, who is not waited for."""
        self.given_up = True
        self.close(error)

    def blocks(self) -> Iterator[memoryview]:
        """Blocks of `size` bytes, the last one shorter. They last as `Block` says."""
        lent: deque[mmap] = deque()
        try:
            while True:
                item = self._full.get()
                if item is None:
                    return
                if isinstance(item, BaseException):
                    raise item
                block, filled = item
                yield memoryview(block)[:filled]
                lent.append(block)
                if len(lent) == LASTING:
                    self._free.append(lent.popleft())
                    self._wake()
        finally:
            self._drained = True
            self._wake()

    async def _next_free(self) -> mmap | None:
        while not self._free:
            if self._drained:
                return None
            self._freed.clear()
            # Looked at again after the clear: the thread may have freed one in between.
            if not self._free and not self._drained:
                await self._freed.wait()
        self._block, self._filled = self._free.pop(), 0
        return self._block

    def _push(self) -> None:
        assert self._block is not None
        self._full.put((self._block, self._filled))
        self._block, self._filled = None, 0

    def _wake(self) -> None:
        if not self._freed.is_set():
            self._loop.call_soon_threadsafe(self._freed.set)
