"""The body of one request becomes parts of its upload: blobs of a bounded size, each acknowledged once it is on disk.

A part is written like any blob, after its intent row. What a request brought before it broke is kept; a crash loses
the part that was being written.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain

from gateway.jobs.heartbeat import Lease
from gateway.model.errors import Gone, Interrupted, Refusal
from gateway.model.image import Blob, BlobState, Image
from gateway.model.upload import Upload
from gateway.ports import BLOCK_SIZE, Block, Transaction
from gateway.service.delivery import discard, in_thread, new_blob
from gateway.service.ingest import Ring
from gateway.service.judge import Judgement
from gateway.service.reception import HURRIED, UPLOAD
from gateway.service.resuming_end import changed, taken_over
from gateway.service.resuming_head import check_head
from gateway.service.site import Granted, Progress, Site, Turn
from gateway.service.usage import Meter, charge, meter

GRACE_SECONDS = 0.25
"""What a client that was cut off has sent may still be on its way through the sockets."""

HEAD = BLOCK_SIZE
"""So many bytes are judged before the rest is taken."""


@dataclass(slots=True, kw_only=True)
class Intake:
    """One request's bytes on their way into `upload`, which moves on with every part.

    `room` is how many may come, with the refusal of one more; `hostile` whether its first bytes were refused. `stopped`
    is why no more was taken though more would have come.
    """

    site: Site
    image: Image
    upload: Upload
    judgement: Judgement
    room: tuple[int, Refusal] | None
    turn: Turn
    hostile: bool = False
    stopped: Refusal | None = None
    ring: Ring = field(init=False)
    progress: Progress = field(init=False)
    left: int | None = None

    def __post_init__(self) -> None:
        self.ring = Ring(self.site.spare, lasting=1)
        granted = Granted(self.site.policy.tree, UPLOAD, self.judgement.facts, self.image.id)
        self.progress = Progress(granted=[granted], give_up=self._give_up)

    async def take(self, chunks: AsyncIterator[bytes], size: int | None) -> Refusal | None:
        """What ended it before the end of the body. Raises what a store, a quota or the records raise.

        Cancelled, it keeps what has come.
        """
        with self.site.writes(self.upload.id, self.progress):  # an emergency stop finds it between two parts, too
            return await self._taken(chunks, size)

    async def _taken(self, chunks: AsyncIterator[bytes], size: int | None) -> Refusal | None:
        self.left = size
        filling = asyncio.create_task(self._fill(chunks))
        keeping = asyncio.create_task(self._keep())
        stopping = asyncio.create_task(self._stop(filling))
        try:
            refused = await asyncio.shield(keeping)
        except asyncio.CancelledError:
            filling.cancel()
            await self._give_up(Interrupted("The gateway is stopping.", remedy="Ask for the offset, and go on."))
            await asyncio.gather(keeping, return_exceptions=True)
            raise
        finally:
            stopping.cancel()
            broken = await self._drained(filling)
        return refused or broken

    def is_final(self, trouble: Refusal) -> bool:
        """Whether no other request could make it good."""
        return self.hostile or (self.room is not None and trouble is self.room[1])

    async def _give_up(self, refusal: Refusal) -> None:
        """No more is taken; what has come is kept."""
        self.stopped = refusal
        self.ring.given_up = True
        self.ring.close()

    async def _stop(self, filling: asyncio.Task[Refusal | None]) -> None:
        """Once somebody else asks for the upload. A client that is gone has ended its body by then, or soon will."""
        await self.turn.stop.wait()
        await asyncio.wait([filling], timeout=GRACE_SECONDS)
        await self._give_up(taken_over())

    async def _fill(self, chunks: AsyncIterator[bytes]) -> Refusal | None:
        """Read the body to its end, also when nobody wants it any more, and say what was wrong with it."""
        came, refusal = 0, None
        try:
            async for chunk in chunks:
                fits = len(chunk) if self.room is None else min(len(chunk), self.room[0] - came)
                if self.room is not None and fits < len(chunk):
                    refusal = self.room[1]
                came += fits
                await self.ring.write(chunk[:fits])
        except Refusal as broken:
            refusal = refusal or broken
        finally:
            self.ring.close()
        return refusal

    async def _drained(self, filling: asyncio.Task[Refusal | None]) -> Refusal | None:
        """The rest is read for a while, so that the client gets to read its answer."""
        patience = HURRIED if self.ring.given_up else self.site.limits.drain
        try:
            return await asyncio.wait_for(filling, patience.total_seconds())
        except (TimeoutError, asyncio.CancelledError):
            return None

    async def _keep(self) -> Refusal | None:
        """Part after part, until the body ends or somebody says stop."""
        blocks = self.ring.blocks()
        try:
            while (first := await self._next(blocks)) is not None:
                before = self.upload.offset
                await self._part(chain([first], blocks))
                if before < HEAD <= self.upload.offset and (refusal := await self._judged()) is not None:
                    return refusal
                if self.progress.stop is not None:
                    break
        finally:
            blocks.close()  # type: ignore[attr-defined]  # it is a generator
        return self.stopped or self.progress.stop

    async def _next(self, blocks: Iterator[Block]) -> Block | None:
        return await in_thread(self.progress, partial(next, blocks, None), self.ring.close)

    async def _judged(self) -> Refusal | None:
        refusal = await check_head(self.site, self.image, self.upload, self.judgement, HEAD)
        self.hostile = refusal is not None
        return refusal

    async def _part(self, blocks: Iterator[Block]) -> None:
        blob = new_blob(self.site, self.image.id, self.upload.store)
        cut = HEAD if self.upload.offset < HEAD else self.site.limits.upload_part
        announced = None if self.left is None else min(cut, self.left)
        quotas, alone = self.judgement.decision.plan.quotas, Progress()
        with self.site.writes(blob.id, alone):
            async with self.site.catalog.begin() as tx:
                begun = await self._change(tx, {"blob_id": blob.id})
                await tx.add_blob(blob)
                await charge(tx, self.image.owner, blob, quotas, announced)
            self.upload = begun
            charged = meter(self.site, blob, self.image.owner, quotas, announced)
            try:
                await self._commit(blob, await self._written(blob, self._cut(blocks, cut, alone, charged)))
            except BaseException:  # goes on to the caller; nobody will keep this part
                await asyncio.shield(discard(self.site, blob))
                raise

    async def _written(self, blob: Blob, blocks: Iterator[Block]) -> int:
        """Who may be thought dead by now commits nothing: the reaper of another process might miss it."""
        put = partial(self.site.store(blob.store).put, blob.key, _held(blocks, self.site.lease))
        size = await in_thread(self.progress, put, self.ring.close)
        self.site.landed[blob.id] = blob
        return size

    def _cut(self, blocks: Iterator[Block], cut: int, alone: Progress, charged: Meter) -> Iterator[Block]:
        """The blocks of one part. Told to stop, it ends with what has come: that is whole as far as it goes."""
        taken = 0
        for block in blocks:
            charged.count(len(block))
            yield block
            taken += len(block)
            self.progress.done += len(block)
            if taken >= cut or self.progress.stop is not None or alone.stop is not None:
                return

    async def _commit(self, blob: Blob, size: int) -> None:
        start, later = self.upload.offset, self.site.clock.now() + self.site.limits.upload_expires
        async with self.site.catalog.begin() as tx:
            grown = await self._change(tx, {"blob_id": None, "offset": start + size, "expires_at": later})
            await tx.move_blob(blob.id, BlobState.PART, {"size": size})
            await tx.add_part(grown.id, start, blob.id)
        self.upload = grown
        self.left = None if self.left is None else self.left - size

    async def _change(self, tx: Transaction, values: dict[str, object]) -> Upload:
        """Raises Conflict where somebody else has the upload, Gone where the image is deleted."""
        if await tx.image(self.image.id) is None:
            raise Gone(f"Image {self.image.id} was deleted while its data was uploaded.")
        return await changed(tx, self.upload, values)


def _held(blocks: Iterator[Block], lease: Lease) -> Iterator[Block]:
    yield from blocks
    lease.check()
