"""How an import ends: its bytes become readable, or it fails by name. One transaction each, fenced by the attempt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from gateway.model.errors import Cancelled, NotFound, Refusal
from gateway.model.image import Blob, BlobState, Move
from gateway.model.imports import ImportMove
from gateway.model.usage import Counted
from gateway.model.verdict import Verdict
from gateway.ports import Transaction
from gateway.service import history
from gateway.service.attempt import Attempt
from gateway.service.describing import taken_over
from gateway.service.images import activation, doom, unkept
from gateway.service.injecting import set_by_rule
from gateway.service.judge import Judgement, remember
from gateway.service.locations import list_refused
from gateway.service.proofs import used_up
from gateway.service.receipts import Origin, receipt
from gateway.service.usage import hold
from gateway.stages.verdicts import reports_to_json, verdict_to_json

_UNSHOWN = frozenset({"name", "validation_data"})
"""What a request says beside its source."""


async def publish(
    attempt: Attempt, blobs: Sequence[Blob], verdict: Verdict, judgement: Judgement, properties: Mapping[str, str]
) -> None:
    """The image becomes active with these blobs, and gets these `properties` by rule."""
    site, image = attempt.site, attempt.image
    now = site.clock.now()
    algorithm = next(iter(attempt.demanded), site.limits.image_hash)
    async with site.catalog.begin() as tx:
        await _succeed(tx, attempt, {**_whole(verdict.source_size), "report": reports_to_json(verdict.reports)}, now)
        await _keep(tx, attempt, blobs, now, {"verdict": verdict_to_json(verdict)})
        await hold(tx, image.owner, attempt.quotas, {Counted.SIZE: 0})
        await remember(tx, judgement, image.id)
        await tx.add_receipt(receipt(site, image.id, _origin(attempt), verdict, judgement, now=now))
        values = {**await taken_over(tx, attempt), **activation(image, verdict, algorithm)}
        values |= await used_up(tx, image.id, values)
        values |= await set_by_rule(tx, image.id, values, properties, site.limits.properties)
        await tx.move_image(image.id, Move.ACTIVATE, now=now, values=values)
        await history.accepted(tx, attempt.work.facts["project.id"], now=now)
    site.metrics.ended(attempt.work)
    site.kick_reaper()


def _origin(attempt: Attempt) -> Origin:
    work = attempt.work
    shown = {name: value for name, value in work.request.items() if name not in _UNSHOWN}
    kind = "location" if attempt.stays_elsewhere else "import"
    return Origin(kind=kind, method=work.method, shown=shown, began=work.created_at)


async def publish_copies(attempt: Attempt, blobs: Sequence[Blob], size: int) -> None:
    """An active image may be read from these blobs as well; nothing else about it changes."""
    site, image = attempt.site, attempt.image
    now = site.clock.now()
    async with site.catalog.begin() as tx:
        await _succeed(tx, attempt, _whole(size * len(blobs)), now)
        if await tx.image(image.id) is None:
            raise Cancelled(f"Image {image.id} is gone.")
        await _keep(tx, attempt, blobs, now)
        await hold(tx, image.owner, attempt.quotas, {Counted.SIZE: 0})
    site.metrics.ended(attempt.work)
    site.kick_reaper()


def _whole(size: int) -> dict[str, object]:
    return {"bytes_done": size, "bytes_total": size}


async def _succeed(tx: Transaction, attempt: Attempt, values: dict[str, object], now: datetime) -> None:
    work = attempt.work
    values = {**attempt.values(), **values, "stores_left": (), "sealed": None, "message": attempt.remark}
    await tx.move_import(work.id, ImportMove.SUCCEED, attempt=work.attempt, now=now, values=values)


async def _keep(
    tx: Transaction, attempt: Attempt, blobs: Sequence[Blob], now: datetime, found: Mapping[str, object] | None = None
) -> None:
    """The only place where an import makes bytes readable."""
    chosen = {blob.id for blob in blobs}
    await doom(tx, [blob for blob in await unkept(tx, attempt.image.id) if blob.id not in chosen])
    for blob in blobs:
        await tx.move_blob(blob.id, BlobState.KEPT, found)
        await tx.add_location(attempt.image.id, blob.id, now=now)


async def fail(attempt: Attempt, refusal: Refusal) -> None:
    """End by name: the import says what happened and what to do, what it has written is doomed.

    The image is queued again; one that was active before stays as it is.
    """
    site, work = attempt.site, attempt.work
    now = site.clock.now()
    failed = {store: attempt.failed.get(store, refusal).message for store in work.stores}
    ended = {"stores_left": (), "stores_failed": failed, "sealed": None}
    values = {**attempt.values(), **ended, **_said(refusal)}
    try:
        async with site.catalog.begin() as tx:
            await tx.move_import(work.id, ImportMove.FAIL, attempt=work.attempt, now=now, values=values)
            if not attempt.copies:
                await tx.move_image(work.image_id, Move.FAIL, now=now, values={"size": None, "virtual_size": None})
            await doom(tx, await unkept(tx, work.image_id))
            if attempt.stays_elsewhere:
                await list_refused(tx, site, work)
            if not attempt.copies:
                await history.failed(tx, work.facts["project.id"], refusal, now=now)
        site.metrics.ended(work, refusal.code)
    except (Cancelled, NotFound):
        return  # deleted meanwhile, or another attempt took over: nothing is ours to end
    finally:
        site.kick_reaper()


def _said(refusal: Refusal) -> dict[str, object]:
    return {"code": refusal.code, "message": refusal.message, "remedy": refusal.remedy}
