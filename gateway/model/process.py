"""The gateways that work on the same records, as their own signs of life tell.

A process beats every few seconds. What it carries out is its own while it beats; whoever finds that it has not beaten
for its `lease` buries it, and its imports are anybody's. Times are the database's, so clocks need not agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One gateway. `id` is new at each start, `host` says where it listens, `slots` how many imports it runs at once.

    `lease` None: it is alone with its records, by a lock on its folder, and needs no signs of life. `revision` is the
    policy tree it decides by; `draining`, that it takes no new work.
    """

    id: str
    host: str
    slots: int
    lease: timedelta | None = None
    revision: str = ""
    draining: bool = False
    started_at: datetime
    beat_at: datetime

    def alive(self, now: datetime) -> bool:
        """A sign of life from the future is none: the clock was set back, and a living process beats again soon."""
        return self.lease is None or abs(now - self.beat_at) <= self.lease
