"""The bridge between the event loop and the thread that stores bytes: a ring of blocks.

The loop fills blocks from the request, a worker thread drains them; hashing and disk calls never run on the loop.
Memory is the ring's size whatever the image's: what a stream cannot do without it gets, and what makes it quick is what
all streams of the process leave of a fixed number of blocks, which is nothing in a crowd. Either side can end it: the
loop by `close`, the thread by leaving the iterator, which wakes a waiting `write`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from mmap import mmap
from queue import SimpleQueue
from threading import RLock
from weakref import finalize

from gateway.ports import BLOCK_SIZE, LASTING

MOST_SPARE = 7
"""Of one ring."""
MOST_SHARED = 16
"""Of one process. Few streams find all they want, and keep what they have; where more is needed, none is spare."""


class SpareBlock(mmap):
    """Goes back to its `Spare` when the last one lets go of it. Mapped, so that the system has it from then on."""


class Spare:
    """The blocks that the rings of one process share, of `size` bytes each; what a ring needs it has in any case."""

    def __init__(self, blocks: int = MOST_SHARED, size: int = BLOCK_SIZE) -> None:
        self.size = size
        self._left = blocks
        self._lock = RLock()

    @property
    def short(self) -> bool:
        return self._left <= 0

    def take(self, *, needed: bool) -> SpareBlock | None:
        """None where there is none left; what is `needed` is there always."""
        with self._lock:
            if self.short and not needed:
                return None
            block = SpareBlock(-1, self.size)
            self._left -= 1
        finalize(block, self._back).atexit = False
        return block

    def _back(self) -> None:
        with self._lock:
            self._left += 1


class Ring:
    """One producer on the loop (`write`, `close`), one consumer in a thread (`blocks`)."""

    def __init__(self, spare: Spare, lasting: int = LASTING) -> None:
        """With as many blocks as have to last, it always goes on."""
        self._loop = asyncio.get_running_loop()
        self._spare = spare
        self._size = spare.size
        self._lasting = lasting
        # The one that was used last is used next: a quick store never needs many.
        self._free: list[SpareBlock] = []
        self._held = 0
        self._lock = RLock()
        self._full: SimpleQueue[tuple[SpareBlock, int] | BaseException | None] = SimpleQueue()
        self._freed = asyncio.Event()
        self._block: SpareBlock | None = None
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
        lent: deque[SpareBlock] = deque()
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
                del block, item
                if len(lent) == self._lasting:
                    self._release(lent.popleft())
        finally:
            self._drained = True
            self._wake()

    async def _next_free(self) -> SpareBlock | None:
        while (block := self._at_hand()) is None:
            if self._drained:
                return None
            self._freed.clear()
            # Looked at again after the clear: the thread may have freed one in between.
            if not self._free and not self._drained:
                await self._freed.wait()
        self._block, self._filled = block, 0
        return block

    def _at_hand(self) -> SpareBlock | None:
        if self._free:
            return self._free.pop()
        with self._lock:
            if self._drained or self._held == self._lasting + MOST_SPARE:
                return None
            block = self._spare.take(needed=self._held < self._lasting)
            self._held += block is not None
        return block

    def _release(self, block: SpareBlock) -> None:
        with self._lock:
            gives = self._held > self._lasting and self._spare.short
            self._held -= gives
        if not gives:
            self._free.append(block)
        self._wake()

    def _push(self) -> None:
        assert self._block is not None
        self._full.put((self._block, self._filled))
        self._block, self._filled = None, 0

    def _wake(self) -> None:
        if not self._freed.is_set():
            self._loop.call_soon_threadsafe(self._freed.set)
