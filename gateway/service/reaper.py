"""Cleaning up: bytes nobody owns, records nobody finishes. One pass can be repeated at any time.

Every blob has an intent row before its first byte, so a crash leaves a row to find, never an orphan to search for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from gateway.model.errors import Conflict, NotFound, Refusal
from gateway.model.image import Blob, BlobState, Image, Move, Status
from gateway.model.imports import Import, ImportMove
from gateway.ports import Transaction
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
    imports: int = 0


async def sweep(site: Site) -> Swept:
    """One pass: settle broken receptions, expire abandoned records, remove the bytes of doomed blobs."""
    swept = Swept()
    now = site.clock.now()
    swept.imports += await _end_lost_imports(site, now)
    await _doom_dead_writers(site)
    for status, back in RECEPTIONS.items():
        swept.images += await _each(site, status, now, partial(_settle, site, back))
    swept.images += await _each(site, Status.UPLOADING, now - site.limits.staged_after, _unstage)
    swept.images += await _each(site, Status.QUEUED, now - site.limits.abandoned_after, _expire)
    swept.blobs += await _remove_doomed(site)
    return swept


async def settle_dead(site: Site) -> None:
    """Before the first request: what earlier processes of this data folder were writing is theirs no more."""
    await _doom_dead_writers(site)


async def forever(site: Site, wake: asyncio.Event) -> None:
    """Sweep at each interval and whenever woken. A pass that fails is logged, and the next one tries again."""
    while True:
        try:
            await sweep(site)
        except Exception:
            # The reaper must outlive any single fault: a full disk or a locked database passes.
            log.exception("reaper pass failed")
        try:
            await asyncio.wait_for(wake.wait(), site.limits.reaper_interval.total_seconds())
        except TimeoutError:
            pass
        wake.clear()


async def _each(
    site: Site, status: Status, before: datetime, act: Callable[[Transaction, Image], Awaitable[bool]]
) -> int:
    """Act on every image that stays in `status` since `before` without an open import; each in its own transaction."""
    async with site.catalog.read() as tx:
        images: Sequence[Image] = await tx.abandoned_images(status, before, PAGE)
    done = 0
    for image in images:
        try:
            async with site.catalog.begin() as tx:
                done += await act(tx, image)
        except (Conflict, NotFound):
            continue  # it moved while we looked
    return done


async def _settle(site: Site, back: Move, tx: Transaction, image: Image) -> bool:
    """A reception or import whose process died goes back to queued. Live ones have a blob: being written, or staged."""
    alive = {BlobState.WRITING} if back is Move.UNSAVE else {BlobState.WRITING, BlobState.STAGED}
    blobs = await tx.blobs(image.id)
    if back is not Move.FAIL and any(blob.state in alive for blob in blobs):
        return False
    if back is Move.UNSAVE and any(blob.id in site.writing for blob in blobs):
        return False
    await tx.move_image(image.id, back, now=site.clock.now())
    await doom(tx, blobs)
    return True


async def _unstage(tx: Transaction, image: Image) -> bool:
    """Staged bytes nobody imported in time: the record stays, the bytes go."""
    await tx.move_image(image.id, Move.UNSTAGE, now=image.updated_at)
    await doom(tx, await tx.blobs(image.id))
    return True


async def _expire(tx: Transaction, image: Image) -> bool:
    """A record that stayed queued: clients that gave up leave these behind."""
    if image.protected:
        return False
    await tx.move_image(image.id, Move.DELETE, now=image.updated_at)
    await doom(tx, await tx.blobs(image.id))
    return True


async def _doom_dead_writers(site: Site) -> None:
    """Intent rows of processes that are gone, and bytes of images that are gone."""
    async with site.catalog.begin() as tx:
        dead: Sequence[Blob] = await tx.writing_blobs(site.writer)
        await doom(tx, [*dead, *[b for b in await tx.staged_without_image() if b.id not in site.writing]])


async def _end_lost_imports(site: Site, now: datetime) -> int:
    """Open imports the engine no longer holds end by name."""
    async with site.catalog.read() as tx:
        works = await tx.open_imports()
    lost = [work for work in works if not await site.jobs.holds(work.id)]
    for work in lost:
        await _end_lost(site, work, now)
    return len(lost)


async def _end_lost(site: Site, work: Import, now: datetime) -> None:
    values = {
        "code": "lost",
        "message": "The import was lost when the gateway stopped.",
        "remedy": "Start it again.",
        "sealed": None,
    }
    try:
        async with site.catalog.begin() as tx:
            await tx.move_import(work.id, ImportMove.FAIL, attempt=None, now=now, values=values)
    except Refusal:
        return  # it has ended meanwhile


async def _remove_doomed(site: Site) -> int:
    """Remove bytes, then forget the row: a crash between the two only repeats the removal."""
    removed = 0
    while True:
        async with site.catalog.read() as tx:
            doomed = [blob for blob in await tx.doomed_blobs(PAGE + len(site.writing)) if blob.id not in site.writing]
        for blob in doomed:
            removed += await _remove(site, blob)
        if len(doomed) < PAGE:
            return removed


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
