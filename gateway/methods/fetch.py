"""An open source whose bytes come in one stream, over as many connections as that takes."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from http import HTTPStatus

import httpcore

from gateway.methods import refusals
from gateway.methods.hop import Hop
from gateway.methods.resuming import Again, edition, rest
from gateway.model.errors import SourceRefused
from gateway.ports import Block


class Fetch:
    """An open source, as `gateway.ports.Source` has it.

    A connection that breaks is followed by another one, where the source says well enough which file it serves: no
    byte comes twice, and everything that counts bytes counts those of the file.
    """

    def __init__(
        self, hop: Hop, max_size: int | None, expected_size: int | None = None, again: Again | None = None
    ) -> None:
        """Without `again` a broken connection is the end. Raises SourceRefused and OverLimit by the head alone."""
        hop.check_plain()
        if hop.total is None and not hop.chunked and expected_size is None:
            raise refusals.refused(
                hop.location,
                "it does not say how long the file is, so a broken transfer would look complete.",
                "Use a server that sends a Content-Length.",
            )
        self.total = hop.total if hop.total is not None else expected_size
        self.resumed = 0
        self._hop = hop
        self._location = hop.location
        self._again = again
        self._edition = edition(hop.fields)
        self._received = 0
        self._stop = self.total
        self._max_size = max_size
        self._closed = False
        self._check_cap(self.total or 0)

    def blocks(self) -> Iterator[Block]:
        try:
            while broken := (yield from self._run()):
                self._go_on(broken)
        finally:
            self.close()

    def close(self) -> None:
        self._closed = True
        self._hop.close()

    def _run(self) -> Generator[Block, None, SourceRefused | None]:
        """What comes over this connection; returns what broke it, None at the end of the file."""
        try:
            for block in self._hop.body():
                self._take(len(block))
                yield block
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            if not self._hop.ended and not isinstance(error, httpcore.NetworkError):
                raise refusals.broken(self._location) from None
        except SourceRefused as refusal:
            if refusal.code != "source-stalled":
                raise
            return refusal
        else:
            if self.total is None or self._received == self.total:
                return None
        return refusals.truncated(self._location, self._received, self.total)

    def _take(self, size: int) -> None:
        """More than was announced is no part of the file: nobody is given it."""
        self._received += size
        self._check_cap(self._received)
        if self._stop is not None and self._received > self._stop:
            raise refusals.broken(self._location)

    def _go_on(self, broken: SourceRefused) -> None:
        """Ask for the rest. Raises SourceRefused: `broken` where it cannot be had, or what is wrong with it."""
        self._hop.close()
        if self._again is None or self._edition is None or self._closed:
            raise broken
        self._hop = self._again.ask(self._edition.rest(self._received), broken)
        if self._hop.status == HTTPStatus.OK and edition(self._hop.fields) == self._edition:
            raise broken  # the same file, from its start: this source knows no ranges
        answer = rest(self._hop, self._edition, self._received, self.total)
        self._stop, self.total = answer.stop, answer.total
        self._check_cap(answer.total)
        self.resumed += 1

    def _check_cap(self, size: int) -> None:
        if self._max_size is not None and size > self._max_size:
            raise refusals.over_limit(self._location, self._max_size)
