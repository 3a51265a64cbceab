"""Bytes that arrive with a request: `PUT stage` and `PUT file`. Both go through the same ring and the same pipeline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from gateway.model.caller import Caller
from gateway.model.errors import BrokenUpload, Conflict, Gone, NotFound, Refusal
from gateway.model.image import Blob, BlobState, Image, Move, require_formats, target
from gateway.model.verdict import Verdict
from gateway.service.delivery import Delivery, beside, deliver, discard, new_blob
from gateway.service.images import activation, writable
from gateway.service.ingest import Ring
from gateway.service.judge import FactValues, Judgement, about, judge, remember, seen, who
from gateway.service.site import Site
from gateway.stages.pipeline import Declared, Pipeline, Tools

UPLOAD = "glance-direct"
"""The method whose rules hold for all bytes that come with a request; `PUT file` is its older form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What a request says about its body. `size` in bytes is the announced one, None where it is not."""

    chunks: AsyncIterator[bytes]
    size: int | None = None


async def stage(site: Site, caller: Caller, image_id: str, upload: Upload) -> None:
    """`PUT /v2/images/{id}/stage`: the bytes are judged and written, and wait for their import."""
    await _receive(site, caller, image_id, upload, _Way(Move.STAGE, Move.UNSTAGE, final=False))


async def save(site: Site, caller: Caller, image_id: str, upload: Upload, store: str | None = None) -> None:
    """`PUT /v2/images/{id}/file`: the same, and the image is active when it returns."""
    async with site.catalog.read() as tx:
        image = await writable(tx, caller, image_id)
    require_formats(image)
    await _receive(site, caller, image_id, upload, _Way(Move.SAVE, Move.UNSAVE, final=True), store)


@dataclass(frozen=True, slots=True)
class _Way:
    """The status moves of one kind of reception: in, and back."""

    begin: Move
    back: Move
    final: bool


async def _receive(
    site: Site, caller: Caller, image_id: str, upload: Upload, way: _Way, store: str | None = None
) -> None:
    async with site.catalog.read() as tx:
        image = await writable(tx, caller, image_id)
    target(image.status, way.begin)
    values: FactValues = {**who(caller), **about(image), "request.stores": (store or site.default_store,)}
    if upload.size is not None:
        values = {**values, "request.size": upload.size}
    judgement = await judge(site, UPLOAD, values, image_id=image_id)
    blob = new_blob(site, image_id, store or site.default_store)
    async with site.catalog.begin() as tx:
        await tx.move_image(image_id, way.begin, now=site.clock.now())
        await tx.add_blob(blob)
        await remember(tx, judgement, image_id)
    try:
        written, verdict = await _take_in(site, image, blob, judgement, upload)
        await _end(site, caller, way, written, verdict, values)
    except BaseException:
        await asyncio.shield(_back(site, blob, way))
        raise


async def _take_in(site: Site, image: Image, blob: Blob, judgement: Judgement, upload: Upload) -> tuple[Blob, Verdict]:
    plan = judgement.decision.plan
    pipeline = Pipeline(
        plan.stages,
        declared=Declared(image.disk_format, image.container_format),
        max_size=plan.max_size,
        hashes=site.hashes,
        tools=Tools(beside=beside, tick=site.clock.monotonic),
    )
    delivery = Delivery(blob=blob, store=site.store(blob.store), pipeline=pipeline)
    ring = Ring(site.limits.ring_blocks)
    filling = asyncio.create_task(_fill(ring, upload))
    try:
        return await deliver(site, delivery, ring.blocks)
    finally:
        # After a refusal the rest of the body is read and dropped for a while, so that the client gets to
        # read the answer instead of a reset connection.
        try:
            await asyncio.wait_for(filling, site.limits.drain.total_seconds())
        except (TimeoutError, Refusal):
            pass


async def _fill(ring: Ring, upload: Upload) -> None:
    """Read the whole body. What goes wrong with it is raised in the thread that stores it."""
    came = 0
    wanted = True
    try:
        async for chunk in upload.chunks:
            came += len(chunk)
            if wanted:
                wanted = await ring.write(chunk)
            if upload.size is not None and came > upload.size:
                raise BrokenUpload(f"Size exceeds: expected {upload.size} bytes, got at least {came} bytes.")
        if upload.size is not None and came < upload.size:
            raise BrokenUpload(
                f"Size mismatch: expected {upload.size} bytes, got {came} bytes.",
                remedy="Nothing was kept; send the image again.",
            )
    except Refusal as refusal:
        ring.close(refusal)
    except asyncio.CancelledError:
        ring.close(BrokenUpload("The upload was cut off.", remedy="Nothing was kept; send the image again."))
        raise
    else:
        ring.close()


async def _end(site: Site, caller: Caller, way: _Way, blob: Blob, verdict: Verdict, values: FactValues) -> None:
    """Judge once more, now that the bytes are known, and keep the result."""
    judgement = await judge(site, UPLOAD, {**values, **seen(verdict)}, image_id=blob.image_id, final=way.final)
    now = site.clock.now()
    try:
        async with site.catalog.begin() as tx:
            await remember(tx, judgement, blob.image_id)
            if way.final:
                await tx.move_blob(blob.id, BlobState.KEPT)
                await tx.add_location(blob.image_id, blob.id, now=now)
                await tx.move_image(
                    blob.image_id, Move.ACTIVATE_SAVED, now=now, values=activation(verdict, site.limits.image_hash)
                )
    except NotFound:
        raise Gone(f"Image {blob.image_id} was deleted while its data was uploaded.") from None


async def _back(site: Site, blob: Blob, way: _Way) -> None:
    """The image is queued again, as if nothing had been sent."""
    await discard(site, blob)
    site.kick_reaper()
    try:
        async with site.catalog.begin() as tx:
            await tx.move_image(blob.image_id, way.back, now=site.clock.now())
    except (Conflict, NotFound):
        pass  # deleted meanwhile
