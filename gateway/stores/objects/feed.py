"""What one thread gathers and another one sends.

The library asks for the next part from within its own event loop, where none of its calls may be made; and a part may
well come out of one: a copy from bucket to bucket reads with the same library.
"""

from __future__ import annotations

from collections.abc import Iterator
from queue import SimpleQueue
from threading import Lock


class Told(Exception):
    """The upload is to be aborted; why, the gathering thread knows."""


class Feed(Iterator[memoryview]):
    """One thread calls `put`, then `end` or `fail`; the other iterates, and calls `leave` when it is done."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[memoryview | Told | None] = SimpleQueue()
        self._lock = Lock()
        self._left = False

    def put(self, part: memoryview) -> bool:
        """False once nobody takes parts any more."""
        with self._lock:
            if not self._left:
                self._queue.put(part)
            return not self._left

    def end(self) -> None:
        self._queue.put(None)

    def fail(self) -> None:
        self._queue.put(Told())

    def __next__(self) -> memoryview:
        item = self._queue.get()
        if item is None:
            raise StopIteration
        if isinstance(item, Told):
            raise item
        return item

    def leave(self) -> None:
        """Parts nobody will send are let go of: the other thread may be waiting for their memory."""
        with self._lock:
            self._left = True
            while not self._queue.empty():
                self._queue.get()
