"""Cleaning up: bytes nobody owns, records nobody finishes. One pass can be repeated at any time.

Every blob has an intent row before its first byte, so a crash leaves a row to find, never an orphan to search for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from gateway.jobs.rounds import one_round
from gateway.model.errors import Conflict, NotFound, Refusal
from gateway.model.image import Blob, BlobState, Image, Move, Status
from gateway.ports import Transaction
from gateway.service import approvals, mirroring, resuming_end
from gateway.service.images import doom
from gateway.service.site import Site

log = logging.getLogger(__name__)

PAGE = 100

RECEPTIONS = {Status.SAVING: Move.UNSAVE, Status.UPLOADING: Move.UNSTAGE, Status.IMPORTING: Move.FAIL}
"""The statuses that only a living process keeps an image in, and the move back."""


@dataclass(slots=True)
class Swept:
    """What one pass did."""

    blobs: int = 0
    images: int = 0


async def sweep(site: Site) -> Swept:
    """One pass: settle broken receptions, expire abandoned records, remove the bytes of doomed blobs."""
    swept = Swept()
    now = site.clock.now()
    await approvals.settle(site, now)
    await resuming_end.settle(site, now)
    await _doom_dead_writers(site)
    for status, back in RECEPTIONS.items():
        swept.images += await _each(site, status, now, partial(_settle, site, back))
    swept.images += await _each(site, Status.UPLOADING, now - site.limits.staged_after, partial(_unstage, site))
    if site.upstream is None:  # else records end where they are kept
        swept.images += await _each(site, Status.QUEUED, now - site.limits.abandoned_after, _expire)
    swept.blobs += await _remove_doomed(site)
    swept.blobs += await _remove_forgotten(site)
    if site.upstream is not None:
        await mirroring.sweep(site)
    return swept


async def settle_dead(site: Site) -> None:
    """Before the first request: what processes were writing that are dead is theirs no more."""
    await _doom_dead_writers(site)


async def forever(site: Site, wake: asyncio.Event) -> None:
    """Sweep at each interval and whenever woken. A pass that fails is logged, and the next one tries again."""
    while True:
        with one_round(log, "reaper pass failed"):
            await sweep(site)
        try:
            await asyncio.wait_for(wake.wait(), site.limits.reaper_interval.total_seconds())
        except TimeoutError:
            pass
        wake.clear()


async def _each(
    site: Site, status: Status, before: datetime, act: Callable[[Transaction, Image], Awaitable[bool]]
) -> int:
    """Act on every image that stays in `status` since `before` without an open import; each in its own transaction."""
    done = 0
    async for image in _abandoned(site, status, before):
        try:
            async with site.catalog.begin() as tx:
                done += await tx.image(image.id) == image and await act(tx, image)
        except (Conflict, NotFound):
            continue  # it moved while we looked
    return done


async def _abandoned(site: Site, status: Status, before: datetime) -> AsyncIterator[Image]:
    """Page by page to the end: those that are right to stay must not hide the others."""
    last: Image | None = None
    while True:
        async with site.catalog.read() as tx:
            page: Sequence[Image] = await tx.abandoned_images(status, before, PAGE, last)
        if not page:
            return
        for image in page:
            yield image
        last = page[-1]


async def _settle(site: Site, back: Move, tx: Transaction, image: Image) -> bool:
    """A reception or import that nobody carries on goes back to queued. Bytes that are staged wait for their import."""
    blobs = await tx.blobs(image.id)
    staged = back is Move.UNSTAGE and any(blob.state is BlobState.STAGED for blob in blobs)
    if staged or await _written(site, tx, blobs) or await tx.open_upload(image.id):
        return False
    await tx.move_image(image.id, back, now=site.clock.now())
    await doom(tx, blobs)
    return True


async def _unstage(site: Site, tx: Transaction, image: Image) -> bool:
    """Staged bytes nobody imported in time: the record stays, the bytes go."""
    blobs = await tx.blobs(image.id)
    if await _written(site, tx, blobs) or await tx.open_upload(image.id):
        return False
    await tx.move_image(image.id, Move.UNSTAGE, now=image.updated_at)
    await doom(tx, blobs)
    return True


async def _written(site: Site, tx: Transaction, blobs: Sequence[Blob]) -> bool:
    living = await _living(tx)
    return any(_held(site, living, blob) for blob in blobs)


async def _living(tx: Transaction) -> frozenset[str]:
    """The processes that nobody has buried."""
    return frozenset(process.id for process in await tx.processes())


def _held(site: Site, living: frozenset[str], blob: Blob) -> bool:
    """Whether somebody may be writing these bytes. Of its own a process knows better; doomed ones end by themselves."""
    return blob.id in site.writing or (blob.writer != site.writer and blob.writer in living)


async def _expire(tx: Transaction, image: Image) -> bool:
    """A record that stayed queued: clients that gave up leave these behind."""
    if image.protected:
        return False
    await tx.move_image(image.id, Move.DELETE, now=image.updated_at)
    await doom(tx, await tx.blobs(image.id))
    return True


async def _doom_dead_writers(site: Site) -> None:
    """Intent rows nobody writes under any more, and bytes of images that are gone; one image a transaction."""
    async with site.catalog.read() as tx:
        living = await _living(tx)
        found = [*await tx.writing_blobs(), *await tx.staged_without_image()]
    dead = {blob.id: blob for blob in found if not _held(site, living, blob)}
    for image_id in {blob.image_id: None for blob in dead.values()}:
        async with site.catalog.begin() as tx:
            await doom(tx, [blob for blob in await tx.blobs(image_id) if dead.get(blob.id) == blob])


async def _remove_doomed(site: Site) -> int:
    """Remove bytes, then forget the row: a crash between the two only repeats the removal."""
    removed = 0
    last: Blob | None = None
    while True:
        async with site.catalog.read() as tx:
            page: Sequence[Blob] = await tx.doomed_blobs(PAGE, last)
            living = await _living(tx)
        if not page:
            return removed
        for blob in page:
            removed += not _held(site, living, blob) and await _remove(site, blob)
        last = page[-1]


async def _remove(site: Site, blob: Blob) -> bool:
    store = site.stores.get(blob.store)
    if store is None:
        return False  # a store taken out of the settings; its rows wait until it is back
    try:
        await asyncio.to_thread(store.delete, blob.key)
    except Refusal as refusal:
        log.warning("blob %s stays for the next pass: %s", blob.id, refusal.message)
        return False
    async with site.catalog.begin() as tx:
        await tx.drop_blob(blob.id)
    return True


async def _remove_forgotten(site: Site) -> int:
    """Bytes of ours that came after others had thought us dead, removed what there was, and dropped the row."""
    removed = 0
    for blob in [one for one in site.landed.values() if one.id not in site.writing]:
        async with site.catalog.read() as tx:
            forgotten = await tx.blob(blob.id) is None
        removed += forgotten and await _remove(site, blob)
        del site.landed[blob.id]
    return removed
