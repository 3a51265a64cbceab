"""This process's signs of life, and the burial of processes that give none.

They are given by a thread with a loop and connections of its own, so that nothing this process is busy with can hold
them up. Rule 1: who cannot give them in time stops publishing by itself (`Lease`), before anybody may bury it. Rule 2:
who was away, or found the clock moved, buries nobody before it has been back for a whole lease: when the database was
away, everybody was.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import timedelta

from gateway.model.errors import Refusal, Unavailable
from gateway.model.process import Process
from gateway.ports import Catalog, Transaction

log = logging.getLogger(__name__)

BEATS = 6
"""Signs of life within a lease."""


@dataclass(slots=True)
class Lease:
    """What a process may do without asking, until `until` (`time.monotonic`). Read and written by several threads."""

    until: float = float("inf")

    def held(self) -> bool:
        return time.monotonic() < self.until

    def check(self) -> None:
        """Raises Unavailable where others may think that this process is dead."""
        if not self.held():
            raise Unavailable(
                "This gateway lost touch with its records for too long.", remedy="Try again.", code="lease-lost"
            )


@dataclass(slots=True, kw_only=True)
class Heartbeat:
    """`now` is this process as it is at the moment; `buried` is called, in the thread, once others have buried it, and
    `freed` once imports of others went back into the queue.
    """

    open_records: Callable[[], AbstractAsyncContextManager[Catalog]]
    now: Callable[[], Process]
    lease: timedelta
    buried: Callable[[], None] = lambda: None
    freed: Callable[[], None] = lambda: None
    held: Lease = field(default_factory=Lease)
    _back_since: float = field(default_factory=time.monotonic)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """After the first `beat`, which the caller gives."""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._forever()), name="heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Returns when the thread has ended."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    async def _forever(self) -> None:
        while not self._stop.is_set():
            try:
                async with self.open_records() as catalog:
                    await self._beats(catalog)
            except Refusal as away:
                log.warning("no sign of life: %s", away.message)
                await self._pause()

    async def _beats(self, catalog: Catalog) -> None:
        while not self._stop.is_set():
            try:
                await asyncio.wait_for(self.beat(catalog), self.lease.total_seconds())
            except (Refusal, TimeoutError) as error:
                log.warning("no sign of life: %s", error)
            except Exception:
                # The next one may succeed; without any, others take over.
                log.exception("no sign of life")
            await self._pause()

    async def _pause(self) -> None:
        await asyncio.to_thread(self._stop.wait, self.lease.total_seconds() / BEATS)

    async def beat(self, catalog: Catalog) -> None:
        """One sign of life, and a look at those of the others."""
        began = time.monotonic()
        async with catalog.begin() as tx:
            me = replace(self.now(), beat_at=await tx.clock())
            before = await tx.beat(me)
        lost = before is None and self.held.until != float("inf")
        if before is None or not before.alive(me.beat_at):
            self._back_since = began
        self.held.until = began + self.lease.total_seconds()
        if lost:
            log.error("this process was thought dead; what it was doing is left to others")
            self.buried()
        elif began - self._back_since > self.lease.total_seconds():
            async with catalog.begin() as tx:
                if await bury_dead(tx):
                    self.freed()


async def bury_dead(tx: Transaction, *, alone: str | None = None) -> int:
    """Forget the processes that give no signs of life; their imports go back into the queue. Gives their number.

    `alone` names the only process that can be alive, where something else proves that.
    """
    now = await tx.clock()
    found = await tx.processes()
    dead = [one for one in found if (not one.alive(now) if alone is None else one.id != alone)]
    buried = [one for one in dead if await tx.bury(one)]
    for one in buried:
        log.warning("process %s on %s is dead", one.id, one.host)
    return len(buried) + await tx.release_imports()
