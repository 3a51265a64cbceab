"""Bytes that arrive with a request: `PUT stage` and `PUT file`. Both go through the same ring and the same pipeline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from gateway.model.caller import Caller
from gateway.model.errors import BadRequest, BrokenUpload, Gone, Refusal
from gateway.model.image import Blob, BlobState, Image, Move, require_formats, target
from gateway.model.usage import Counted
from gateway.ports import Transaction
from gateway.service import history
from gateway.service.afterwards import check_immediate, needs_import, run_after, streaming, whole
from gateway.service.copies import Original
from gateway.service.delivery import Delivery, Written, deliver, new_blob
from gateway.service.images import activation, doom, writable
from gateway.service.ingest import Ring
from gateway.service.injecting import set_by_rule
from gateway.service.judge import FactValues, Judgement, about, judge, remember, seen, who
from gateway.service.proofs import sent, used_up
from gateway.service.receipts import Origin, receipt
from gateway.service.site import Granted, Progress, Site
from gateway.service.staged import Case, Staged
from gateway.service.targets import landing
from gateway.service.upstream import Filling, fill
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


def _kept(site: Site, way: Way) -> BlobState:
    """What becomes of bytes that have been judged: where another service holds the image, ours are not needed more."""
    if not way.activates:
        return BlobState.STAGED
    return BlobState.KEPT if site.upstream is None else BlobState.DOOMED


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
    landed, stores = await landing(site, store)
    values = _known(caller, image, upload, stores)
    judgement = await judge(site, UPLOAD, values, image_id=image_id)
    if way.activates:
        check_immediate(judgement.decision.plan.stages)
    blob = new_blob(site, image_id, landed)
    delivery = delivery_of(site, image, blob, judgement, upload.size)
    with site.writes(blob.id, delivery.progress):
        async with site.catalog.begin() as tx:
            await tx.move_image(image_id, way.begin, now=site.clock.now())
            await doom(tx, await tx.blobs(image_id))
            await tx.add_blob(blob)
            await hold(tx, image.owner, judgement.decision.plan.quotas, {Counted.IMPORTS: 1})
            await charge(tx, image.owner, blob, judgement.decision.plan.quotas, upload.size)
            await remember(tx, judgement, image_id)
        async with _undone_on_failure(site, blob, way, caller.project_id):
            ring = Ring(site.spare, delivery.pipeline.lasting)
            delivery.progress.give_up = ring.fail
            async with _pouring(ring, upload, site.limits.drain):
                with site.metrics.taking(delivery.progress, delivery.pipeline):
                    written = await deliver(site, delivery, ring.blocks, ring.close)
            await keep(site, way, blob, written, judgement.facts)
    if _kept(site, way) is BlobState.DOOMED:
        site.kick_reaper()


async def check_takes(site: Site, store: str) -> None:
    """Raises BadRequest for a store nobody knows, Gone for one that only refers to bytes elsewhere."""
    if store not in (site.stores if site.upstream is None else await site.upstream.stores()):
        raise BadRequest(f"Store {store} is not known here.", remedy="GET /v2/info/stores lists them.")
    if site.upstream is None and site.stores[store].read_only:
        raise Gone(
            "Adding images to store is disabled.",
            remedy=f"Store {store} is read-only; name one of: {', '.join(site.taking_stores)}.",
            code="read-only-store",
        )


def _check_ready(image: Image, way: Way) -> None:
    if way.activates:
        require_formats(image)
    target(image.status, way.begin)


def _known(caller: Caller, image: Image, upload: Upload, stores: tuple[str, ...]) -> FactValues:
    claim = {} if upload.size is None else {"request.size": upload.size}
    return {**who(caller), **about(image), **claim, "request.stores": stores}


def delivery_of(
    site: Site, image: Image, blob: Blob, judgement: Judgement, size: int | None, elsewhere: int = 0
) -> Delivery:
    """The blob on its way under that decision; `elsewhere` are bytes of it that are charged to other blobs already."""
    plan = judgement.decision.plan
    pipeline = Pipeline(
        streaming(plan.stages),
        declared=Declared(image.disk_format, image.container_format),
        max_size=plan.max_size,
        hashes=site.hashes,
        evidence=sent(image),
        tools=site.stream_tools,
    )
    charged = meter(site, blob, image.owner, plan.quotas, size, elsewhere)
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


async def _nothing(tx: Transaction) -> None: ...


async def keep(
    site: Site,
    way: Way,
    blob: Blob,
    written: Written,
    values: FactValues,
    also: Callable[[Transaction], Awaitable[None]] = _nothing,
) -> None:
    """Judge once more, now that the bytes are known, and keep the result; `also` is done in the same transaction."""
    facts = {**values, **seen(written.verdict)}
    judgement = await judge(site, UPLOAD, facts, image_id=blob.image_id, final=way.activates)
    after = Staged(blob=blob, verdict=written.verdict)
    if way.activates:
        after = await _after(site, after, judgement)
    kept = _kept(site, way)
    now = site.clock.now()
    async with site.catalog.begin() as tx:
        image = await tx.image(blob.image_id)
        if image is None:
            raise Gone(f"Image {blob.image_id} was deleted while its data was uploaded.")
        await remember(tx, judgement, blob.image_id)
        row = {**written.row, "verdict": verdict_to_json(whole(after))}
        await tx.move_blob(blob.id, kept, row)
        await also(tx)
        await hold(tx, image.owner, judgement.decision.plan.quotas, {Counted.SIZE: 0})
        if way.activates:
            if kept is BlobState.KEPT:
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
    after = await run_after(case, staged, wanted)
    if site.upstream is not None:
        await _sent_on(site, image, after, judgement)
    return after


async def _sent_on(site: Site, image: Image, after: Staged, judgement: Judgement) -> None:
    """The image is active in the image service behind the gateway before it is said to be."""
    stores = judgement.facts["request.stores"]
    assert isinstance(stores, tuple)
    original = Original(after.blob, after.verdict)
    filling = Filling(image=image, original=original, stores=stores, properties=after.properties)
    await fill(site, filling, site.writing.get(after.blob.id) or Progress())


@asynccontextmanager
async def _undone_on_failure(site: Site, blob: Blob, way: Way, project: str) -> AsyncIterator[None]:
    try:
        yield
    except BaseException as error:  # whatever ended it goes on to the caller; first the image is queued again
        await asyncio.shield(_back(site, blob, way, project, error))
        raise


async def _back(site: Site, blob: Blob, way: Way, project: str, error: BaseException) -> None:
    """The image is queued again, as if nothing had been sent; what was wrong with it is remembered.

    All of it or nothing: where the records took the last step and did not live to say so, the image is active, and
    its bytes are its own.
    """
    now = site.clock.now()
    try:
        async with site.catalog.begin() as tx:
            await tx.move_image(blob.image_id, way.back, now=now)
            await doom(tx, [found for found in [await tx.blob(blob.id)] if found is not None])
            await history.failed(tx, project, error, now=now)
    except Refusal:
        pass  # deleted meanwhile, or the records are away: then the reaper settles it
