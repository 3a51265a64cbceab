"""The two pipes of a running program: read to their end within a time and a length."""

from __future__ import annotations

import os
import selectors
from collections.abc import Callable
from time import monotonic
from typing import IO

from gateway.model.errors import Unavailable

Watch = Callable[[bytes], None]
"""Gets what a program prints as it comes, and an empty piece several times a second; may raise to end the program."""

TICK = 0.2
PIECE = 64 << 10
GRACE = 5.0
"""Seconds for a killed sandbox to be gone."""


def unheard(piece: bytes) -> None:
    """For programs nobody waits to hear from."""


class Pipes:
    """What comes is kept, up to `limit` bytes on both."""

    def __init__(self, output: IO[bytes], errors: IO[bytes], limit: int) -> None:
        self._output, self._errors = output, errors
        self._limit = limit
        self._said = {output: bytearray(), errors: bytearray()}
        self._open = selectors.DefaultSelector()
        for pipe in self._said:
            self._open.register(pipe, selectors.EVENT_READ)

    def drain(self, seconds: float, watch: Watch) -> None:
        """Read both to their ends. Raises Unavailable `stage-unavailable` beyond the time or the length."""
        until = monotonic() + seconds
        while self._open.get_map():
            for key, _ in self._open.select(TICK):
                self._take(self._output if key.fd == self._output.fileno() else self._errors, watch)
            watch(b"")
            if monotonic() > until:
                raise unavailable(f"it has not ended within {seconds:g} seconds")

    def _take(self, pipe: IO[bytes], watch: Watch) -> None:
        piece = os.read(pipe.fileno(), PIECE)
        if not piece:
            self._open.unregister(pipe)
        self._said[pipe] += piece
        if sum(map(len, self._said.values())) > self._limit:
            raise unavailable(f"it prints more than {self._limit} bytes")
        if pipe is self._output:
            watch(piece)

    @property
    def ended(self) -> bool:
        """Nobody holds the other ends any more; bwrap does as long as it runs."""
        return not self._open.get_map()

    def texts(self) -> tuple[str, str]:
        output, errors = (said.decode(errors="replace") for said in self._said.values())
        return output, errors

    def close(self) -> None:
        """Once the program was killed or has ended: wait for the others of its sandbox, and drop what they said."""
        until = monotonic() + GRACE
        while not self.ended and monotonic() < until:
            for key, _ in self._open.select(TICK):
                if not os.read(key.fd, PIECE):
                    self._open.unregister(key.fileobj)
        for pipe in self._said:
            pipe.close()
        self._open.close()


def unavailable(what: str) -> Unavailable:
    return Unavailable(
        f"A tool that stages need does not work: {what}.",
        remedy="Try again; if it happens again, tell the operators of your cloud.",
        code="stage-unavailable",
    )
