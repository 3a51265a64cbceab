"""How long one source may keep a fetch waiting: the deadlines, applied to every single read."""

from __future__ import annotations

import time
from collections.abc import Callable

from gateway.methods import refusals
from gateway.methods.location import Location
from gateway.methods.rules import Deadlines
from gateway.model.errors import SourceRefused

HEAD_READ = 1 << 16
BODY_READ = 1 << 20
MAX_HEAD = 1 << 18


class Rate:
    """How fast the body of one fetch comes, over all its connections: a source that breaks them gains no time."""

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._waited = 0.0
        self._received = 0

    def count(self, received: int, waited: float, location: Location) -> None:
        """Account for bytes, and for seconds spent waiting. Raises SourceRefused where a window had too few."""
        self._waited += waited
        self._received += received
        if self._waited >= self._deadlines.rate_window:
            self._judge(location)

    def _judge(self, location: Location) -> None:
        if self._received < self._deadlines.minimum_rate * self._waited:
            raise refusals.slow(location, f"below {self._deadlines.minimum_rate} bytes a second")
        self._waited, self._received = 0.0, 0


class Pace:
    """One hop's patience. A read asks `patience` before it waits and tells `count` afterwards.

    `until` is the end of the whole fetch on `clock` (seconds that only grow), `rate` that of the whole fetch. `ended`
    says that the last read found the source's side closed.
    """

    def __init__(
        self,
        deadlines: Deadlines,
        location: Location,
        until: float,
        clock: Callable[[], float] = time.monotonic,
        rate: Rate | None = None,
    ) -> None:
        self._deadlines = deadlines
        self._location = location
        self._until = until
        self._clock = clock
        self._rate = rate or Rate(deadlines)
        self._head_until = until
        self._head_bytes = 0
        self._in_body = False
        self.ended = False

    @property
    def read_size(self) -> int:
        """Bytes to ask for: little while heads are parsed, whole blocks afterwards."""
        return BODY_READ if self._in_body else HEAD_READ

    def begin_head(self) -> None:
        """The source is connected: from now on it is its turn."""
        self._head_until = min(self._until, self._clock() + self._deadlines.head)

    def begin_body(self) -> None:
        self._in_body = True

    def patience(self) -> float:
        """Seconds the next read may wait. Raises SourceRefused where none are left."""
        now = self._clock()
        left = (self._until if self._in_body else self._head_until) - now
        if left <= 0:
            raise self.exhausted()
        return min(left, self._deadlines.idle)

    def count(self, received: int, waited: float) -> None:
        """Account for one read. Raises SourceRefused when a head does not end or a body comes too slowly."""
        self.ended = received == 0
        if not self._in_body:
            self._head_bytes += received
            if self._head_bytes > MAX_HEAD:
                raise refusals.broken(self._location)
            return
        self._rate.count(received, waited, self._location)

    def exhausted(self) -> SourceRefused:
        """The refusal for a read that waited as long as it may."""
        now = self._clock()
        if now >= self._until:
            return refusals.slow(self._location, f"not done after {self._deadlines.total:g} s")
        if not self._in_body and now >= self._head_until:
            return refusals.stalled(self._location, self._deadlines.head)
        return refusals.stalled(self._location, self._deadlines.idle)
