"""How a resumable upload ends: by the verdict on its bytes, by its client, or by its time.

The parts are read in order through the pipeline into one staged blob, as an upload in one piece would be. A process
that dies meanwhile leaves the upload WHOLE: another one, or the next start, judges it again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial

from gateway.model.errors import Cancelled, Conflict, Gone, NotFound, Refusal, Unavailable
from gateway.model.image import Blob, BlobState, Image, Move, Status
from gateway.model.upload import Upload, UploadState, refusal_to_json
from gateway.ports import Block, Transaction
from gateway.service import history
from gateway.service.delivery import Delivery, deliver, discard, new_blob
from gateway.service.images import doom, unkept
from gateway.service.judge import Judgement, about, judge, remember
from gateway.service.reception import STAGE, UPLOAD, delivery_of, keep
from gateway.service.resuming_head import joined
from gateway.service.site import Site
from gateway.service.targets import upload_stores

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.2
"""How often whoever waits for a verdict that another request or process works on looks for it."""

Blocks = Callable[[], Iterator[Block]]

_ending: set[asyncio.Task[None]] = set()


async def is_written(site: Site, tx: Transaction, upload: Upload) -> bool:
    """Whether a living process writes for this upload: a part, or the image it is judged as."""
    blob = await tx.blob(upload.blob_id) if upload.blob_id else None
    if blob is None or blob.state is not BlobState.WRITING:
        return False
    if blob.writer == site.writer:
        return blob.id in site.writing
    return blob.writer in {process.id for process in await tx.processes()}


async def end(site: Site, upload: Upload) -> Upload:
    """The verdict on an upload whose bytes have all come: it is STAGED or CLOSED then, whoever has worked on it.

    Raises Unavailable, Gone; the upload is as it was, and this may be asked again.
    """
    while True:
        found, worked_on = await _found(site, upload.id)
        if found.state in (UploadState.STAGED, UploadState.CLOSED):
            return found
        if not worked_on:
            try:
                return await _judged(site, found)
            except Conflict as lost:
                if lost.code != "upload-taken-over":
                    raise
        await asyncio.sleep(LOOK_SECONDS)


async def _found(site: Site, upload_id: str) -> tuple[Upload, bool]:
    """The upload as it is now, and whether somebody works on its verdict."""
    async with site.catalog.read() as tx:
        upload = await tx.upload(upload_id)
        if upload is None:
            raise Gone("The upload is gone.", code="upload-expired")
        return upload, await is_written(site, tx, upload)


async def _judged(site: Site, upload: Upload) -> Upload:
    """What is wrong with the bytes, or with who sent them, closes the upload. What is wrong with the site does not."""
    try:
        return await _taken_in(site, upload)
    except (Unavailable, Cancelled, Conflict):
        raise
    except NotFound as lost:
        refusal: Refusal = Gone(f"A part of the upload is lost. {lost.message}", remedy="Begin a new one.")
    except Refusal as found:
        refusal = found
    while True:
        current, _ = await _found(site, upload.id)
        if current.state is UploadState.CLOSED or (closed := await close(site, current, refusal)).refusal:
            return current if current.state is UploadState.CLOSED else closed


async def _taken_in(site: Site, upload: Upload) -> Upload:
    async with site.catalog.read() as tx:
        image, parts = await tx.image(upload.image_id), await tx.upload_parts(upload.id)
    if image is None:
        raise Gone(f"Image {upload.image_id} was deleted while its data was uploaded.")
    stores = await upload_stores(site, upload.store)
    values = {**upload.facts, **about(image), "request.size": upload.offset, "request.stores": stores}
    judgement = await judge(site, UPLOAD, values, image_id=image.id)  # type: ignore[arg-type]  # as they were stored
    blob = new_blob(site, image.id, upload.store)
    # The parts are charged already: the project pays for its bytes once, though they are twice in the store meanwhile.
    delivery = delivery_of(site, image, blob, judgement, upload.offset, upload.offset)
    with site.writes(blob.id, delivery.progress):
        whole = await _begun(site, upload, blob, judgement)
        with site.metrics.taking(delivery.progress, delivery.pipeline):
            return await _staged(site, whole, delivery, judgement, partial(_whole, site, parts, upload.offset))


async def _begun(site: Site, upload: Upload, blob: Blob, judgement: Judgement) -> Upload:
    values = {"state": UploadState.WHOLE, "blob_id": blob.id, "length": upload.offset}
    async with site.catalog.begin() as tx:
        whole = await changed(tx, upload, values)
        await tx.add_blob(blob)
        await remember(tx, judgement, blob.image_id)
    return whole


async def _staged(site: Site, whole: Upload, delivery: Delivery, judgement: Judgement, blocks: Blocks) -> Upload:
    written = await deliver(site, delivery, blocks)
    later = site.clock.now() + site.limits.upload_expires
    ended: list[Upload] = []

    async def also(tx: Transaction) -> None:
        ended.append(await changed(tx, whole, {"state": UploadState.STAGED, "blob_id": None, "expires_at": later}))
        await doom(tx, await tx.upload_parts(whole.id))
        await tx.change_image(whole.image_id, {}, now=site.clock.now())  # staged bytes expire by their own age

    try:
        await keep(site, STAGE, delivery.blob, written, judgement.facts, also)
    except BaseException:  # goes on to the caller; nobody will keep these bytes
        await asyncio.shield(discard(site, delivery.blob))
        raise
    site.kick_reaper()
    return ended[0]


def _whole(site: Site, parts: Sequence[Blob], size: int) -> Iterator[Block]:
    came = 0
    for block in joined(site, parts):
        came += len(block)
        yield block
    if came != size:
        raise NotFound(f"{came} of {size} bytes are there.")


async def changed(tx: Transaction, upload: Upload, values: dict[str, object]) -> Upload:
    """Raises Conflict where somebody else has changed it meanwhile."""
    found = await tx.change_upload(upload, values)
    if found is None:
        raise taken_over()
    return found


def taken_over() -> Conflict:
    return Conflict(
        "Another request took the upload over.",
        remedy="Ask for the offset (HEAD), and go on from there.",
        code="upload-taken-over",
    )


async def close(site: Site, upload: Upload, refusal: Refusal) -> Upload:
    """The upload ends with `refusal`: its bytes are doomed and its image, if it waits for them, is queued again.

    Where somebody else has changed the upload meanwhile nothing happens, and it is returned as it is. Raises Conflict
    where the image's import has begun.
    """
    now = site.clock.now()
    values = {
        "state": UploadState.CLOSED,
        "blob_id": None,
        "refusal": refusal_to_json(refusal),
        "expires_at": now + site.limits.upload_expires,
    }
    async with site.catalog.begin() as tx:
        closed = await tx.change_upload(upload, values)
        if closed is None:
            return await tx.upload(upload.id) or upload
        image = await tx.image(upload.image_id)
        blobs = await unkept(tx, upload.image_id)
        if image is not None:
            await _queued(tx, image, upload, now)
            await history.failed(tx, upload.facts["project.id"], refusal, now=now)
            await doom(tx, blobs)
    site.halt(Cancelled("The upload was closed."), [blob.id for blob in blobs])
    site.kick_reaper()
    return closed


async def _queued(tx: Transaction, image: Image, upload: Upload, now: datetime) -> None:
    if upload.state is not UploadState.STAGED or image.status is not Status.QUEUED:
        await tx.move_image(image.id, Move.UNSTAGE, now=now)


async def settle(site: Site, now: datetime) -> None:
    """What nobody goes on with: times that are over, verdicts whose process is gone, records nobody asks for."""
    async with site.catalog.read() as tx:
        due = await tx.due_uploads(now)
    for upload in due:
        try:
            await _settle(site, upload, now)
        except Refusal as refusal:
            log.warning("upload %s stays for the next pass: %s", upload.id, refusal.message)


async def _settle(site: Site, upload: Upload, now: datetime) -> None:
    async with site.catalog.read() as tx:
        image = await tx.image(upload.image_id)
    if upload.state in (UploadState.STAGED, UploadState.CLOSED):
        async with site.catalog.begin() as tx:
            await tx.drop_upload(upload.id)
    elif image is None:
        await close(site, upload, Gone(f"Image {upload.image_id} was deleted."))
    elif upload.state is UploadState.OPEN:
        await expire(site, upload)
    else:
        _go_on(site, upload)


def _go_on(site: Site, upload: Upload) -> None:
    """Beside the reaper, who must not wait for all the bytes; one task for an upload."""
    name = f"ending upload {upload.id}"
    if name not in {task.get_name() for task in _ending}:
        task = asyncio.create_task(_ended(site, upload), name=name)
        _ending.add(task)
        task.add_done_callback(_ending.discard)


async def _ended(site: Site, upload: Upload) -> None:
    try:
        await end(site, upload)
    except Refusal as refusal:
        log.warning("upload %s waits for its verdict: %s", upload.id, refusal.message)
        # The reaper is woken by every delivery that fails: not at once again, where a store is away.
        await asyncio.sleep(site.limits.reaper_interval.total_seconds())


async def expire(site: Site, upload: Upload) -> Upload:
    """Close what nobody has gone on with in time; a slow request that still sends is somebody."""
    if upload.id in site.turns:
        return upload
    async with site.catalog.read() as tx:
        if await is_written(site, tx, upload):
            return upload
    refusal = Gone("The upload was not gone on with in time.", remedy="Begin a new one.", code="upload-expired")
    return await close(site, upload, refusal)
