"""Blocks gathered into the parts that travel.

A part has to be whole before it travels, and a slow client takes long to fill one: it is gathered in a file without a
name.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator
from io import FileIO
from pathlib import Path
from tempfile import TemporaryFile

from gateway.model.errors import Unavailable
from gateway.ports import Block

PIECE = 256 << 10

MOST_AT_ONCE = 2
"""Parts of one upload: so many travel while the next one is gathered."""

PLACE_WAITS = 20
"""So many times as long as the server may be silent, a part waits for its place among those of all uploads."""


class Part:
    """So many bytes of a file, which whoever takes the part closes. In pieces it is hardly any memory."""

    def __init__(self, file: FileIO, size: int) -> None:
        self.file = file
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        """Raises OSError."""
        at = 0
        while piece := os.pread(self.file.fileno(), min(PIECE, self._size - at), at):
            at += len(piece)
            yield piece

    def close(self) -> None:
        self.file.close()


class Parts:
    """Of one store: how parts of `size` bytes are gathered, in files of `folder`."""

    def __init__(self, store: str, size: int, *, folder: Path) -> None:
        self.size = size
        self._store = store
        self._folder = folder

    def of(self, blocks: Iterable[Block]) -> Generator[Part, None, None]:
        """The last one may be shorter; none for no bytes. Raises Unavailable."""
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
                        part, file, filled = Part(file, filled), None, 0
                        yield part
            if file is not None:
                part, file = Part(file, filled), None
                yield part
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

    def _no_room(self, error: OSError) -> Unavailable:
        return Unavailable(
            f"Store {self._store} failed: the gateway cannot gather what it is to be sent: {error.strerror}",
            remedy="Make room in the gateway's spool folder, then try again.",
            code="store-broken",
        )
