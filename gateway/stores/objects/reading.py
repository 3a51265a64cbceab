"""Bytes of an object, in runs; a connection that breaks is opened again where it broke."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from obstore.exceptions import BaseError

from gateway.model.errors import Unavailable
from gateway.ports import BLOCK_SIZE
from gateway.stores.objects.faults import refusal
from gateway.stores.place import Place

MOST_RESUMES = 5
"""In a row, without a byte in between."""

Opened = Callable[[int, int], Iterator[bytes]]
"""The bytes from an offset up to an end, of the very object that was there first. Raises refusals."""


class ObjectReading(Iterator[bytes]):
    """`length` bytes from `offset` on. The end, an error or `close` ends the connection."""

    def __init__(self, place: Place, stream: Iterator[bytes], again: Opened, offset: int, length: int) -> None:
        self._place = place
        self._stream: Iterator[bytes] | None = stream
        self._again = again
        self._offset = offset
        self._left = length
        self._more = b""
        self._resumes = 0

    def __next__(self) -> bytes:
        if self._stream is None or self._left <= 0:
            self.close()
            raise StopIteration
        try:
            return self._run()
        except BaseException:  # goes on to the caller; only the connection must not stay open
            self.close()
            raise

    def close(self) -> None:
        self._stream, self._more = None, b""

    def _run(self) -> bytes:
        piece = self._more or self._piece()
        # The library gives no less than it was asked for, but may give more.
        run, self._more = piece[: min(BLOCK_SIZE, self._left)], piece[BLOCK_SIZE:]
        self._offset += len(run)
        self._left -= len(run)
        return run

    def _piece(self) -> bytes:
        assert self._stream is not None
        while True:
            try:
                piece = next(self._stream, b"")
            except (BaseError, OSError) as error:
                self._stream = self._resumed(error)
                continue
            self._resumes = 0
            if piece:
                return piece
            raise self._truncated()

    def _resumed(self, error: Exception) -> Iterator[bytes]:
        if self._resumes == MOST_RESUMES:
            raise refusal(self._place, error) from error
        self._resumes += 1
        return self._again(self._offset, self._offset + self._left)

    def _truncated(self) -> Unavailable:
        return Unavailable(
            f"A blob in store {self._place.name} ends {self._left} bytes early",
            remedy="The blob is damaged: verify the image.",
            code="blob-truncated",
        )
