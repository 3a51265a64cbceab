"""The bytes of an object, in runs. A connection that breaks is followed by another, from where it broke."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpcore

from gateway.model.errors import Refusal
from gateway.ports import BLOCK_SIZE
from gateway.stores.exchange import LOST

RETRIES = 5
"""Connections without a single byte, one after the other."""


class Reading(Iterator[bytes]):
    """`length` bytes from `offset` on. It owns the response: the end, an error, `close` or oblivion frees it.

    `reopen` asks for the bytes from an offset on and raises where there are none; `truncated` is told how many miss.
    """

    def __init__(
        self,
        response: httpcore.Response,
        offset: int,
        length: int,
        *,
        reopen: Callable[[int], httpcore.Response],
        truncated: Callable[[int], Refusal],
    ) -> None:
        self._response: httpcore.Response | None = response
        self._pieces = iter(response.iter_stream())
        self._rest = b""
        self._offset = offset
        self._left = length
        self._reopen = reopen
        self._truncated = truncated

    def __next__(self) -> bytes:
        if self._response is None or self._left <= 0:
            self.close()
            raise StopIteration
        try:
            run = self._run(min(BLOCK_SIZE, self._left))
        except BaseException:  # goes on to the caller; only the connection must not stay open
            self.close()
            raise
        self._left -= len(run)
        if self._left == 0:
            self._finish()
        return run

    def close(self) -> None:
        response, self._response = self._response, None
        self._rest = b""
        if response is not None:
            response.close()

    def __del__(self) -> None:
        self.close()

    def _run(self, wanted: int) -> bytes:
        """Pieces come as the network has them: they are gathered, or each would cost a walk through the service."""
        run = bytearray(self._rest)
        while len(run) < wanted:
            piece = self._piece() or self._piece_of_another(self._left - len(run))
            self._offset += len(piece)
            run += piece
        self._rest = bytes(run[wanted:])
        return bytes(run[:wanted])

    def _piece(self) -> bytes:
        """Nothing at the end of the answer, whatever ended it."""
        try:
            return next(self._pieces, b"")
        except LOST:
            return b""

    def _piece_of_another(self, missing: int) -> bytes:
        for _ in range(RETRIES):
            self.close()
            self._response = self._reopen(self._offset)
            self._pieces = iter(self._response.iter_stream())
            if piece := self._piece():
                return piece
        raise self._truncated(missing)

    def _finish(self) -> None:
        """See the end of the answer too: only then the connection can be used again."""
        self._piece()
        self.close()
