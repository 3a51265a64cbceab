"""Blocks gathered into the parts that travel, within bounded memory.

A part is memory of its own: what the stream gave is used again while a part is still on its way.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from mmap import mmap
from threading import Condition

from gateway.model.errors import Unavailable
from gateway.ports import Block

MOST_AT_ONCE = 3
"""Of one upload: two travel while the next is gathered."""


class _Part(mmap):
    """Memory that goes back to the system at its end, which can be waited for."""


class Parts:
    """Of one store. Every upload has one part for itself; with those that `spare` allows, and that all uploads share,
    it gathers the next one while others travel.
    """

    def __init__(self, store: str, size: int, *, spare: int, patience: float) -> None:
        """`size` in bytes, `patience` in seconds: longer than a part may travel."""
        self.size = size
        self._store = store
        self._spare = spare
        self._patience = patience
        self._freed = Condition()

    def of(self, blocks: Iterable[Block]) -> Iterator[memoryview]:
        """Parts of `size` bytes, the last one shorter; none for no bytes. Raises Unavailable."""
        mine = _Mine()
        part, filled = None, 0
        try:
            for block in blocks:
                left = memoryview(block)
                while left:
                    part = part if part is not None else self._new(mine)
                    taken = min(len(left), self.size - filled)
                    part[filled : filled + taken] = left[:taken]
                    filled, left = filled + taken, left[taken:]
                    if filled == self.size:
                        whole, part, filled = memoryview(part), None, 0
                        yield whole
                        del whole
            if part is not None:
                yield memoryview(part)[:filled]
        finally:
            part = None  # a refusal that is kept keeps this frame, and would keep the memory

    def _new(self, mine: _Mine) -> mmap:
        with self._freed:
            if not self._freed.wait_for(lambda: self._may(mine), self._patience):
                raise Unavailable(
                    f"Store {self._store} failed: it does not take what it is sent",
                    remedy="Check the store, then try again.",
                    code="store-broken",
                )
            self._spare -= mine.alive > 0
            mine.alive += 1
        part = _Part(-1, self.size)
        weakref.finalize(part, self._end, mine).atexit = False
        return part

    def _may(self, mine: _Mine) -> bool:
        return mine.alive == 0 or (mine.alive < MOST_AT_ONCE and self._spare > 0)

    def _end(self, mine: _Mine) -> None:
        """Called by whichever thread lets go of a part last."""
        with self._freed:
            mine.alive -= 1
            self._spare += mine.alive > 0
            self._freed.notify_all()


class _Mine:
    """How many parts of one upload there are."""

    alive = 0
