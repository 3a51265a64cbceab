"""ClamAV's daemon as a scanner: `INSTREAM`, one connection a stream, no pool. See clamd(8), "COMMANDS".

By default clamd answers OK to what lies beyond one of its own limits (MaxFileSize, MaxScanSize, MaxScanTime...) without
having looked at it. So before a scan it has to pass a small test: it must refuse an archive that is nested deeper
than it can ever look. Only `AlertExceedsMax yes` in clamd.conf makes it do that, for all of its limits. The test is
repeated at the end of each scan, where it costs a few milliseconds beside it.
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from time import monotonic, time

from gateway.model.errors import Refusal, Unavailable
from gateway.ports import Block
from gateway.stages.malware import described
from gateway.stages.stage import Engine
from gateway.tools import clamd_words as words
from gateway.tools.line import Address, Line, failing

CHUNK = 128 << 10
"""Bytes. Clamd takes more in one chunk no faster; of 4 KiB it takes a third less in the same time."""

NESTED = 128
"""Clamd cannot be told to look deeper than 100."""

ASK_EVERY = 1.0
"""Seconds between two looks at a clamd that scans."""

END = bytes(4)


class Clamd:
    """`gateway.stages.stage.Scanner`. Safe to be used from any number of threads."""

    def __init__(self, address: Address, *, patience: float = 10.0, scan_time: float = 900.0) -> None:
        """Seconds: `patience` for every step that waits for no scan, `scan_time` for the word on an image, which is
        waited for as long as clamd answers other questions meanwhile.
        """
        self._address = address
        self._patience = patience
        self._scan_time = scan_time
        self._passed: Engine | None = None
        self._ended: Refusal | None = None

    def open(self) -> ClamdScan:
        """Raises Unavailable where it is away, hangs, talks nonsense, or would let pass what it did not look at."""
        engine = self.engine()
        if self._passed is None or not engine.same_as(self._passed):
            self.test()
            self._passed = engine
        return ClamdScan(self, engine)

    def engine(self) -> Engine:
        """Who it is; that it answers at all. Raises Unavailable."""
        with self.line(b"zVERSION\0") as line:
            return words.engine(line.answer(self.until()), now=time())

    def check(self) -> str:
        """Who it is, once it has passed the test. Raises Unavailable."""
        engine = self.engine()
        self.test()
        return described(engine)

    def test(self) -> None:
        """Raises Unavailable where it is content with what it did not look at."""
        with self.testing() as passed:
            passed()

    @contextmanager
    def testing(self) -> Iterator[Callable[[], None]]:
        """The test, begun; calling what comes back waits for its end."""
        with self.line(b"zINSTREAM\0") as line:
            line.send(framed(nested()) + END, self.until())
            yield lambda: self._passes(self.word(line))

    def _passes(self, said: str) -> None:
        if not words.beyond_limits(said):
            self._passed = None
            raise words.lax()

    def word(self, line: Line) -> str:
        """What it says of a stream that has ended. That may take minutes, for the scan and for those before it; but it
        hangs if it does not even say who it is meanwhile.
        """
        end = monotonic() + self._scan_time
        while not line.speaks(min(end, monotonic() + ASK_EVERY)):
            if self._ended is not None:
                raise self._ended
            if monotonic() >= end:
                raise failing(words.WHAT, "it takes too long")
            self.engine()
        return line.answer(self.until())

    def cut(self, refusal: Refusal) -> None:
        """From now on no scan is waited for: what waits raises `refusal`, within a second or so."""
        self._ended = refusal

    def line(self, command: bytes) -> Line:
        line = Line(words.WHAT, self._address, self.until())
        try:
            line.send(command, self.until())
        except Unavailable:
            line.close()
            raise
        return line

    def until(self) -> float:
        return monotonic() + self._patience


class ClamdScan:
    """`gateway.stages.stage.Scan`."""

    def __init__(self, clamd: Clamd, engine: Engine) -> None:
        self.engine = engine
        self._clamd = clamd
        self._line = clamd.line(b"zINSTREAM\0")
        self._in_use = Lock()

    def feed(self, block: Block) -> str | None:
        until = self._clamd.until()
        with self._in_use:
            try:
                self._send(memoryview(block), until)
            except Unavailable:
                # It may have said why it hung up.
                if not self._line.speaks():
                    raise
            return self._early()

    def finish(self) -> str | None:
        with self._in_use:
            if (found := self._early()) is not None:
                return found
            self._line.send(END, self._clamd.until())
            with self._clamd.testing() as passed:
                found = words.verdict(self._clamd.word(self._line))
                if found is None:
                    passed()
            return found

    def release(self) -> None:
        self._line.hang_up()
        with self._in_use:
            self._line.close()

    def _early(self) -> str | None:
        return words.early(self._line.answer(self._clamd.until())) if self._line.speaks() else None

    def _send(self, view: memoryview, until: float) -> None:
        for start in range(0, len(view), CHUNK):
            run = view[start : start + CHUNK]
            self._line.send(struct.pack("!I", len(run)), until)
            self._line.send(run, until)


def framed(run: bytes) -> bytes:
    """One chunk of an INSTREAM: its length in four bytes, most significant first, then the chunk."""
    return struct.pack("!I", len(run)) + run


@cache
def nested() -> bytes:
    """About 3 KB: NESTED layers of gzip around nothing."""
    packed = b""
    for _ in range(NESTED):
        packed = gzip.compress(packed, mtime=0)
    return packed
