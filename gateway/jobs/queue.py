"""Carries out imports as their turns come: claims one for each free slot, here or wherever they were asked for.

The queue is the import rows themselves (`gateway.ports.queueing`), so nothing can be lost between the two. A claim is
held by the process's signs of life; what nobody holds any more, anybody claims.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from gateway.jobs.rounds import one_round
from gateway.model.errors import Unavailable
from gateway.model.imports import Import
from gateway.ports import Catalog, Clock

log = logging.getLogger(__name__)

POLL_SECONDS = 0.25
"""How long another process's import may wait for a free slot here."""

Run = Callable[[Import], Awaitable[None]]


@dataclass(slots=True, kw_only=True)
class ImportQueue:
    """`runner` is this process, `slots` what it carries out at once, `cap` what a project may, in all processes.

    `may_claim` says whether this process's claims would be held; `close` ends claiming for good.
    """

    catalog: Catalog
    clock: Clock
    runner: str
    slots: int
    cap: int | None = None
    may_claim: Callable[[], bool] = lambda: True
    _running: set[asyncio.Task[None]] = field(default_factory=set)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _closed: bool = False
    _unsure: bool = False

    def kick(self) -> None:
        """Look now: an import was put into the queue, or a slot is free."""
        self._wake.set()

    async def forever(self, run: Run) -> None:
        """`run` may raise nothing: whatever happens to an import, it has a name for it."""
        while not self._closed:
            self._wake.clear()
            with one_round(log, "no import is started"):
                await self._fill(run)
            try:
                await asyncio.wait_for(self._wake.wait(), POLL_SECONDS)
            except TimeoutError:
                pass

    async def _fill(self, run: Run) -> None:
        if self._unsure:
            await self._let_go()
        while self._free and (work := await self._claimed()) is not None:
            if self._closed:  # meanwhile
                await self._release(work)
                return
            task = asyncio.create_task(self._one(run, work), name=work.id)
            self._running.add(task)
            task.add_done_callback(self._ended)

    async def _let_go(self) -> None:
        """What is this process's by the records alone: a claim whose answer was lost, an import that was left."""
        running = {task.get_name() for task in self._running}
        async with self.catalog.begin() as tx:
            for work in await tx.running_imports():
                if work.runner == self.runner and work.id not in running:
                    await tx.release_import(work.id, work.attempt)
        self._unsure = False

    @property
    def _free(self) -> bool:
        return not self._closed and len(self._running) < self.slots and self.may_claim()

    async def _claimed(self) -> Import | None:
        async with self.catalog.read() as tx:
            if not await tx.queued():
                return None
        try:
            async with self.catalog.begin() as tx:
                return await tx.claim_import(self.runner, cap=self.cap, now=self.clock.now())
        except Unavailable:
            self._unsure = True
            raise

    async def _one(self, run: Run, work: Import) -> None:
        try:
            await run(work)
        except Exception:
            # A fault of our own: the import is still this process's, and goes back to all.
            log.exception("import %s was left", work.id)
            await self._release(work)

    async def _release(self, work: Import) -> None:
        async with self.catalog.begin() as tx:
            await tx.release_import(work.id, work.attempt)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._unsure = True
            log.error("an import was left: %s", error)
        self.kick()

    async def close(self) -> None:
        """The attempts that run here are fenced out, and told so as they report. Raises Unavailable."""
        self._closed = True
        self.kick()
        async with self.catalog.begin() as tx:
            if released := await tx.release_imports(self.runner):
                log.info("imports handed back: %d", released)

    async def stop(self, seconds: float) -> None:
        """Those that run have lost their imports; wait for them to notice."""
        self._closed = True
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
