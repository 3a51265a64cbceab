"""Writing one blob: watched stream, verdict. Every blob of the program is written here, after its intent row.

The verdict is the last act of the stream: `watched` raises it from the iterator the store reads, so that no store
ever commits rejected bytes. A delivery is told to fail (`tell`), never cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

from gateway.jobs.heartbeat import Lease
from gateway.model.errors import Interrupted, Refusal
from gateway.model.image import Blob, BlobState
from gateway.model.verdict import Verdict
from gateway.ports import Block
from gateway.service.site import Progress, Site
from gateway.service.usage import Meter
from gateway.stages.pipeline import Pipeline
from gateway.stages.verdicts import verdict_to_json

# Threads of their own: a few slow clients would otherwise take all those that decide about everybody else.
_threads = ThreadPoolExecutor(max_workers=1024, thread_name_prefix="bytes")


Result = TypeVar("Result")


class Taker(Protocol):
    """What a delivery needs of a store."""

    def put(self, key: str, blocks: Iterable[Block]) -> int: ...


@dataclass(frozen=True, slots=True)
class Written:
    """Bytes that are whole and in their store: what was found, and the fields that makes for the blob's row."""

    verdict: Verdict
    row: dict[str, object]


@dataclass(slots=True, kw_only=True)
class Delivery:
    """One blob on its way. `pipeline` can be asked for its reports at any time, also after a refusal."""

    blob: Blob
    store: Taker
    pipeline: Pipeline
    progress: Progress = field(default_factory=Progress)
    meter: Meter | None = None
    lease: Lease = field(default_factory=Lease)

    def watched(self, blocks: Iterable[Block]) -> Iterator[Block]:
        for block in blocks:
            if self.progress.stop is not None:
                raise self.progress.stop
            for stored in self.pipeline.feed(block):
                self._charge(stored)
                yield stored
            self.progress.done += len(block)
        for stored in self.pipeline.finish():
            self._charge(stored)
            yield stored
        if self.progress.stop is not None:
            raise self.progress.stop
        self.lease.check()

    def _charge(self, stored: Block) -> None:
        """A stage may make more of the bytes than was announced, so what is stored is counted."""
        if self.meter is not None:
            self.meter.count(len(stored))

    def write(self, open_blocks: Callable[[], Iterator[Block]]) -> Written:
        """Runs in a worker thread. The source is closed on every way out, so that its other end wakes up."""
        blocks = open_blocks()
        try:
            self.store.put(self.blob.key, self.watched(blocks))
            verdict = self.pipeline.verdict()
            return Written(verdict, {"size": verdict.size, "verdict": verdict_to_json(verdict)})
        finally:
            self.pipeline.release()
            close = getattr(blocks, "close", None)
            if close is not None:
                close()


def new_blob(site: Site, image_id: str, store: str, key: str | None = None) -> Blob:
    """A blob whose key is final from the start. The id is fresh for each try, so a try never meets another's bytes."""
    blob_id = site.new_id()
    return Blob(
        id=blob_id, image_id=image_id, store=store, key=key or blob_id, writer=site.writer, created_at=site.clock.now()
    )


async def deliver(
    site: Site, delivery: Delivery, blocks: Callable[[], Iterator[Block]], wake: Callable[[], None] = lambda: None
) -> Written:
    """Write the blob, whose intent row is already committed. Its row is the caller's to move, with `Written.row`.

    All of that stands within `Site.writes`. Raises the pipeline's, the source's or the store's refusal; the blob is
    doomed then. `wake` makes the blocks end where they wait for more.
    """
    delivery.lease = site.lease
    try:
        written = await in_thread(delivery.progress, partial(delivery.write, blocks), wake)
    except BaseException:  # goes on to the caller; nobody will keep these bytes
        await asyncio.shield(discard(site, delivery.blob))
        raise
    site.landed[delivery.blob.id] = delivery.blob
    return written


async def in_thread(progress: Progress, work: Callable[[], Result], wake: Callable[[], None] = lambda: None) -> Result:
    """Work on bytes beside the loop. Cancelled, it is told so by `progress`, and waited for: a thread cannot be
    cancelled, and left alone it might publish what the reaper has looked for and forgotten.
    """
    working = asyncio.get_running_loop().run_in_executor(_threads, work)
    try:
        return await asyncio.shield(working)
    except BaseException:  # goes on to the caller, once the thread has ended
        if not working.done():
            progress.tell(Interrupted("The gateway is stopping.", remedy="Send the image again."))
            wake()
            await asyncio.gather(working, return_exceptions=True)
        raise


async def discard(site: Site, blob: Blob) -> None:
    """Doom a blob that is still to be written; its bytes go with the reaper's next pass.

    One that is whole stays: the records may have taken it though they did not live to say so.
    """
    try:
        async with site.catalog.begin() as tx:
            found = await tx.blob(blob.id)
            if found is not None and found.state is BlobState.WRITING:
                await tx.move_blob(blob.id, BlobState.DOOMED)
    except Refusal:
        pass  # doomed already, or the records are away: then the intent row stays, and the reaper finds it
