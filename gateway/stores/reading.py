"""Bytes of an open file, in runs."""

from __future__ import annotations

import os
from collections.abc import Iterator

from gateway.model.errors import Unavailable
from gateway.ports import BLOCK_SIZE
from gateway.stores.faults import said


class Reading(Iterator[bytes]):
    """`length` bytes from `offset` on. It owns the descriptor: the end, an error, `close` or oblivion frees it."""

    def __init__(self, store: str, descriptor: int, offset: int, length: int) -> None:
        self._store = store
        self._descriptor: int | None = descriptor
        self._offset = offset
        self._left = length

    def __next__(self) -> bytes:
        if self._descriptor is None or self._left <= 0:
            self.close()
            raise StopIteration
        try:
            return self._run(self._descriptor)
        except BaseException:  # goes on to the caller; only the descriptor must not stay open
            self.close()
            raise

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()

    def _run(self, descriptor: int) -> bytes:
        with said(self._store):
            run = os.pread(descriptor, min(BLOCK_SIZE, self._left), self._offset)
        if not run:
            raise Unavailable(
                f"A blob in store {self._store} ends {self._left} bytes early",
                remedy="The blob is damaged: verify the image.",
                code="blob-truncated",
            )
        self._offset += len(run)
        self._left -= len(run)
        return run
