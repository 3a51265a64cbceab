"""Bytes that arrive with a request: `PUT stage` and `PUT file`. Both go through the same ring and the same pipeline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from gateway.model.caller import Caller
from gateway.model.errors import BadRequest, BrokenUpload, Gone, Refusal
from gateway.model.image import Blob, BlobState, Image, Move, require_formats, target
from gateway.model.usage import Counted
from gateway.service import history
from gateway.service.afterwards import check_immediate, needs_import, run_after, streaming, whole
from gateway.service.delivery import Delivery, Written, deliver, discard, new_blob
from gateway.service.images import activation, doom, writable
from gateway.service.ingest import Ring
from gateway.service.injecting import set_by_rule
from gateway.service.judge import FactValues, Judgement, about, judge, remember, seen, who
from gateway.service.proofs import sent, used_up
from gateway.service.receipts import Origin, receipt
from gateway.service.site import Granted, Progress, Site
from gateway.service.staged import Case, Staged
from gateway.service.usage import charge, hold, meter
from gateway.stages.pipeline import Declared, Pipeline
from gateway.stages.verdicts import covers, verdict_to_json

UPLOAD = "glance-direct"
"""The method whose rules hold for all bytes that come with a request; `PUT file` is its older form."""


HURRIED = timedelta(milliseconds=200)
"""What a client gets to finish an upload that has to end now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What a request says about its body. `size` in bytes is the announced one, None where it is not."""

    chunks: AsyncIterator[bytes]
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """One kind of reception: its status move in, the move back, and whether the image is active at its end."""

    begin: Move
    back: Move
    activates: bool


STAGE = Way(Move.STAGE, Move.UNSTAGE, activates=False)
"""`PUT /v2/images/{id}/stage`: the bytes are judged and written, and wait for their import."""

SAVE = Way(Move.SAVE, Move.UNSAVE, activates=True)
"""`PUT /v2/images/{id}/file`: the same, and the image is active at the end."""


async def receive(
    site: Site, caller: Caller, image_id: str, upload: Upload, way: Way, store: str | None = None
) -> None:
    """Judge and write the bytes of one request. On any failure the image is queued again, with nothing kept.

    Raises NotFound, Forbidden, Conflict, PolicyRefused, ContentRefused, OverLimit, OverQuota, BrokenUpload,
    Unavailable, Gone.
    """
    async with site.catalog.read() as tx:
        image = await writable(tx, caller, image_id)
    _check_ready(image, way)
    values = _known(site, caller, image, upload, store)
    judgement = await judge(site, UPLOAD, values, image_id=image_id)
    if way.activates:
        check_immediate(judgement.decision.plan.stages)
    blob = new_blob(site, image_id, store or site.default_store)
    delivery = _delivery(site, image, blob, judgement, upload.size)
    with site.writes(blob.id, delivery.progress):
        async with site.catalog.begin() as tx:
            await tx.move_image(image_id, way.begin, now=site.clock.now())
            await doom(tx, await tx.blobs(image_id))
            await tx.add_blob(blob)
            await hold(tx, image.owner, judgement.decision.plan.quotas, {Counted.IMPORTS: 1})
            await charge(tx, image.owner, blob, judgement.decision.plan.quotas, upload.size)
            await remember(tx, judgement, image_id)
        async with _undone_on_failure(site, blob, way, caller.project_id):
            ring = Ring(site.limits.ring_blocks)
            delivery.progress.give_up = ring.fail
            async with _pouring(ring, upload, site.limits.drain):
                with site.metrics.taking(delivery.progress, delivery.pipeline):
                    written = await deliver(site, delivery, ring.blocks, ring.close)
            await _end(site, way, blob, written, judgement.facts)


def check_takes(site: Site, store: str) -> None:
    """Raises BadRequest for a store nobody knows, Gone for one that only refers to bytes elsewhere."""
    if store not in site.stores:
        raise BadRequest(f"Store {store} is not known here.", remedy="GET /v2/info/stores lists them.")
    if site.stores[store].read_only:
        raise Gone(
            "Adding images to store is disabled.",
            remedy=f"Store {store} is read-only; name one of: {', '.join(site.taking_stores)}.",
            code="read-only-store",
        )


def _check_ready(image: Image, way: Way) -> None:
    if way.activates:
        require_formats(image)
    target(image.status, way.begin)


def _known(site: Site, caller: Caller, image: Image, upload: Upload, store: str | None) -> FactValues:
    claim = {} if upload.size is None else {"request.size": upload.size}
    return {**who(caller), **about(image), **claim, "request.stores": (store or site.default_store,)}


def _delivery(site: Site, image: Image, blob: Blob, judgement: Judgement, size: int | None) -> Delivery:
    plan = judgement.decision.plan
    pipeline = Pipeline(
        streaming(plan.stages),
        declared=Declared(image.disk_format, image.container_format),
        max_size=plan.max_size,
        hashes=site.hashes,
        evidence=sent(image),
        tools=site.tools,
    )
    charged = meter(site, blob, image.owner, plan.quotas, size)
    granted = Granted(site.policy.tree, UPLOAD, judgement.facts, image.id)
    progress = Progress(granted=[granted])
    return Delivery(blob=blob, store=site.store(blob.store), pipeline=pipeline, progress=progress, meter=charged)


@asynccontextmanager
async def _pouring(ring: Ring, upload: Upload, drain: timedelta) -> AsyncIterator[None]:
    """The body flows into the ring meanwhile.

    After a refusal the rest of it is read and dropped for a while, so that the client gets to read the answer
    instead of a reset connection.
    """
    filling = asyncio.create_task(_fill(ring, upload))
    try:
        yield
    except asyncio.CancelledError:
        filling.cancel()
        raise
    finally:
        try:
            await asyncio.wait_for(filling, (HURRIED if ring.given_up else drain).total_seconds())
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


async def _end(site: Site, way: Way, blob: Blob, written: Written, values: FactValues) -> None:
    """Judge once more, now that the bytes are known, and keep the result."""
    facts = {**values, **seen(written.verdict)}
    judgement = await judge(site, UPLOAD, facts, image_id=blob.image_id, final=way.activates)
    after = Staged(blob=blob, verdict=written.verdict)
    if way.activates:
        after = await _after(site, after, judgement)
    now = site.clock.now()
    async with site.catalog.begin() as tx:
        image = await tx.image(blob.image_id)
        if image is None:
            raise Gone(f"Image {blob.image_id} was deleted while its data was uploaded.")
        await remember(tx, judgement, blob.image_id)
        row = {**written.row, "verdict": verdict_to_json(whole(after))}
        await tx.move_blob(blob.id, BlobState.KEPT if way.activates else BlobState.STAGED, row)
        await hold(tx, image.owner, judgement.decision.plan.quotas, {Counted.SIZE: 0})
        if way.activates:
            await tx.add_location(blob.image_id, blob.id, now=now)
            origin = Origin(kind="upload", method=UPLOAD, shown={}, began=blob.created_at)
            await tx.add_receipt(receipt(site, blob.image_id, origin, whole(after), judgement, now=now))
            fields = activation(image, written.verdict, site.limits.image_hash)
            fields |= await used_up(tx, blob.image_id, fields)
            fields |= await set_by_rule(tx, image.id, fields, after.properties, site.limits.properties)
            await tx.move_image(blob.image_id, Move.ACTIVATE_SAVED, now=now, values=fields)
            await history.accepted(tx, values["project.id"], now=now)


async def _after(site: Site, staged: Staged, judgement: Judgement) -> Staged:
    """What the last decision wants of the bytes, now that it knows them."""
    wanted = judgement.decision.plan.stages
    check_immediate(wanted)
    if not covers(staged.verdict.reports, streaming(wanted)):
        raise needs_import("more stages, now that it knows the bytes,")
    async with site.catalog.read() as tx:
        image = await tx.image(staged.blob.image_id)
    if image is None:
        raise Gone(f"Image {staged.blob.image_id} was deleted while its data was uploaded.")
    case = Case(site=site, image=image, judgement=judgement, source={"name": UPLOAD})
    return await run_after(case, staged, wanted)


@asynccontextmanager
async def _undone_on_failure(site: Site, blob: Blob, way: Way, project: str) -> AsyncIterator[None]:
    try:
        yield
    except BaseException as error:  # whatever ended it goes on to the caller; first the image is queued again
        await asyncio.shield(_back(site, blob, way, project, error))
        raise


async def _back(site: Site, blob: Blob, way: Way, project: str, error: BaseException) -> None:
    """The image is queued again, as if nothing had been sent; what was wrong with it is remembered."""
    await discard(site, blob)
    now = site.clock.now()
    try:
        async with site.catalog.begin() as tx:
            await tx.move_image(blob.image_id, way.back, now=now)
            await history.failed(tx, project, error, now=now)
    except Refusal:
        pass  # deleted meanwhile, or the records are away: then the reaper settles it
