"""Blocks gathered into the parts that travel, within bounded memory.

A part has to be whole before it travels, and a slow client takes long to fill one: it is gathered in a file without a
name, and is memory only while it travels.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from io import FileIO
from mmap import MAP_SHARED, PROT_READ, mmap
from pathlib import Path
from tempfile import TemporaryFile
from threading import Condition

from gateway.model.errors import Unavailable
from gateway.ports import Block

MOST_AT_ONCE = 2
"""Of one upload: so many travel while the next one is gathered."""


class _Part(mmap):
    """Memory that goes back to the system at its end, which can be waited for."""


class Parts:
    """Of one store. So many parts as `most` are in memory at once, of all uploads together."""

    def __init__(self, store: str, size: int, *, folder: Path, most: int, patience: float) -> None:
        """`size` in bytes, `patience` in seconds: longer than a part may travel. Files are in `folder`."""
        self.size = size
        self._store = store
        self._folder = folder
        self._most = most
        self._patience = patience
        self._alive = 0
        self._freed = Condition()

    def of(self, blocks: Iterable[Block]) -> Iterator[memoryview]:
        """Parts of `size` bytes, the last one shorter; none for no bytes. Raises Unavailable."""
        mine = _Mine()
        file, filled = None, 0
        try:
            for block in blocks:
                left = memoryview(block)
                while left:
                    file = file or self._new()
                    taken = min(len(left), self.size - filled)
                    self._write(file, left[:taken])
                    filled, left = filled + taken, left[taken:]
                    if filled == self.size:
                        yield self._mapped(file, filled, mine)
                        file, filled = None, 0
            if file is not None:
                yield self._mapped(file, filled, mine)
        finally:
            if file is not None:
                file.close()

    def _new(self) -> FileIO:
        try:
            return TemporaryFile(buffering=0, dir=self._folder)
        except OSError as error:
            raise self._no_room(error) from error

    def _write(self, file: FileIO, content: memoryview) -> None:
        try:
            while content:
                content = content[file.write(content) :]
        except OSError as error:
            raise self._no_room(error) from error

    def _mapped(self, file: FileIO, size: int, mine: _Mine) -> memoryview:
        """The file's content in memory, which is let go of with the view; the file is closed."""
        with file, self._freed:
            if not self._freed.wait_for(lambda: self._may(mine), self._patience):
                raise self._failed("it does not take what it is sent")
            part = _Part(file.fileno(), size, MAP_SHARED, PROT_READ)
            self._alive += 1
            mine.alive += 1
        weakref.finalize(part, self._end, mine).atexit = False
        return memoryview(part)

    def _may(self, mine: _Mine) -> bool:
        return mine.alive < MOST_AT_ONCE and self._alive < self._most

    def _end(self, mine: _Mine) -> None:
        """Called by whichever thread lets go of a part last."""
        with self._freed:
            mine.alive -= 1
            self._alive -= 1
            self._freed.notify_all()

    def _no_room(self, error: OSError) -> Unavailable:
        why = f"the gateway cannot gather what it is to be sent: {error.strerror}"
        return self._failed(why, "Make room in the gateway's spool folder, then try again.")

    def _failed(self, why: str, remedy: str = "Check the store, then try again.") -> Unavailable:
        return Unavailable(f"Store {self._store} failed: {why}", remedy=remedy, code="store-broken")


class _Mine:
    """How many parts of one upload there are."""

    alive = 0
