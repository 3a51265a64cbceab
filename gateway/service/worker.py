"""Carrying out one import: obtain the bytes, judge them, publish. Run by whoever has claimed it, at least once.

What is already done is read from the records, not from memory: a staged blob is not fetched again after a crash.
Every publish is fenced by the attempt number, so that a worker that was thought dead changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from gateway.model.errors import Cancelled, Conflict, Interrupted, Refusal, SourceRefused, Unavailable
from gateway.model.image import Blob, BlobState, Move
from gateway.model.imports import Import
from gateway.model.verdict import Verdict
from gateway.policy.problems import Problems
from gateway.ports import Block, Source
from gateway.service.afterwards import run_after, streaming, whole
from gateway.service.approve import Parked, park
from gateway.service.attempt import Attempt, reporting
from gateway.service.copies import Original, filled, kept_original
from gateway.service.delivery import Delivery, deliver, new_blob
from gateway.service.describing import check_size, describe
from gateway.service.gathering import gathered
from gateway.service.images import doom
from gateway.service.judge import Judgement
from gateway.service.locations import Unkept, bytes_changed, place_key
from gateway.service.publishing import fail, publish, publish_copies
from gateway.service.site import Site
from gateway.service.staged import Case, Staged
from gateway.service.upstream import Filling, fill
from gateway.service.usage import charge, meter
from gateway.stages.evidence import SUMS_URL, spent
from gateway.stages.images.agreement import match
from gateway.stages.pipeline import Pipeline
from gateway.stages.verdicts import covers, proves, verdict_from_json

log = logging.getLogger(__name__)

RESTARTS = 40
"""An import that was begun and taken away more often than this is given up: it is probably what kills its workers."""


async def run(site: Site, work: Import) -> None:
    """Try until a claimed import has ended by name. Returns also when it is not this process's any more."""
    tries_left = site.limits.attempts - 1
    again = False
    while True:
        try:
            work = await _begun_again(site, work) if again else work
            await _try(site, work, tries_left)
            return
        except Cancelled:
            return
        except Interrupted:
            await _hand_back(site, work)
            return
        except _Again:
            tries_left -= 1
        except Unavailable as away:
            # The records themselves: nothing can end by name before they are back.
            log.warning("import %s waits: %s", work.id, away.message)
        again = True
        await asyncio.sleep(site.limits.retry_delay.total_seconds())


class _Again(Exception):
    """A fault that may pass, and tries are left."""


async def _begun_again(site: Site, work: Import) -> Import:
    async with site.catalog.begin() as tx:
        return await tx.begin_attempt(work.id, runner=site.writer, now=site.clock.now())


async def _hand_back(site: Site, work: Import) -> None:
    """This process stops, so another one goes on; or it was thought dead, and another one has it already."""
    try:
        async with site.catalog.begin() as tx:
            await tx.release_import(work.id, work.attempt)
    except Unavailable as away:
        log.warning("import %s is not handed back: %s", work.id, away.message)  # it is, once this process is buried


async def _try(site: Site, work: Import, tries_left: int) -> None:
    attempt = await _begin(site, work)
    try:
        await (_copy if attempt.copies else _import)(attempt, last=not tries_left)
    except (Cancelled, Interrupted):
        raise
    except Parked as parked:
        await park(attempt, parked.approval)
    except Refusal as refusal:
        if tries_left and _may_pass(refusal):
            site.kick_reaper()
            raise _Again from refusal
        await fail(attempt, refusal)
    except Exception:
        # The last net: a fault of our own must still end the import by name, or it would stay open for ever.
        log.exception("import %s of image %s failed", work.id, attempt.image.id)
        await fail(attempt, _internal(attempt.work))


async def _import(attempt: Attempt, *, last: bool) -> None:
    async with reporting(attempt):
        await describe(attempt)
        blob, verdict = await _obtain(attempt)
        judgement = await asyncio.to_thread(attempt.judge, verdict.as_sent)
        wanted = judgement.decision.plan.stages
        if not (covers(verdict.reports, streaming(wanted)) and proves(verdict.as_sent, attempt.expected)):
            blob, verdict = await _deliver(attempt, _once_more(attempt, blob, verdict.as_sent, judgement), judgement)
        match(verdict.as_sent, attempt.declared)
        after = await run_after(_case(attempt, judgement), Staged(blob=blob, verdict=verdict), wanted)
        blobs = await _placed(attempt, after, last=last)
    await publish(attempt, blobs, whole(after), after.judgement or judgement, after.properties)


async def _placed(attempt: Attempt, after: Staged, *, last: bool) -> Sequence[Blob]:
    """The blobs the image will be read from; none where an image service behind the gateway has taken its bytes."""
    original, work = Original(after.blob, after.verdict), attempt.work
    if attempt.site.upstream is None:
        return await filled(attempt, original, last=last)
    taken = spent(attempt.description.properties) if attempt.description else {}
    properties = {**taken, **after.properties}
    filling = Filling(
        image=attempt.image, original=original, stores=work.stores, properties=properties, again=work.attempt > 1
    )
    await fill(attempt.site, filling, attempt.progress)
    return ()


def _case(attempt: Attempt, judgement: Judgement) -> Case:
    work = attempt.work
    return Case(site=attempt.site, image=attempt.image, judgement=judgement, source=work.request, attempt=attempt)


async def _copy(attempt: Attempt, *, last: bool) -> None:
    original = await kept_original(attempt.site, attempt.image)
    await asyncio.to_thread(attempt.judge, original.verdict)
    async with reporting(attempt):
        blobs = await filled(attempt, original, last=last)
    await publish_copies(attempt, blobs, original.verdict.size)


def _may_pass(refusal: Refusal) -> bool:
    return isinstance(refusal, Unavailable) or (isinstance(refusal, SourceRefused) and refusal.transient)


def _internal(work: Import) -> Refusal:
    return Refusal(
        f"The import failed inside the gateway (request {work.request_id or work.id}).",
        remedy="Try again; if it happens again, give the operator that number.",
        code="internal",
    )


async def _begin(site: Site, work: Import) -> Attempt:
    """What this attempt stands on. Bytes that an earlier one left unfinished are doomed."""
    async with site.catalog.begin() as tx:
        if not await tx.progress(work.id, work.attempt, {"bytes_done": work.bytes_done}):
            raise Cancelled("The image was deleted, or another attempt took over.")
        image = await tx.image(work.image_id)
        if image is None:
            raise Cancelled(f"Image {work.image_id} is gone.")
        await doom(tx, [b for b in await tx.blobs(image.id) if b.state is BlobState.WRITING])
    attempt = Attempt(site=site, work=work, image=image, policy=site.policy.tree, left=work.stores)
    attempt.progress.give_up = partial(fail, attempt)
    try:
        attempt.policy = await site.policy.at(work.revision, partial(_kept_tree, site))
    except Problems as problems:
        # This build does not take that tree any more; another one has not granted the import.
        await fail(attempt, problems)
        raise Cancelled("its tree is gone") from problems
    if work.attempt > RESTARTS:
        await fail(attempt, _internal(work))
        raise Cancelled("given up")
    return attempt


async def _kept_tree(site: Site, revision: str) -> Mapping[str, str] | None:
    async with site.catalog.read() as tx:
        return await tx.tree(revision)


async def _obtain(attempt: Attempt) -> tuple[Blob, Verdict]:
    """The staged blob: the one that is there already, or a fresh one from the source."""
    async with attempt.site.catalog.read() as tx:
        for blob in reversed(await tx.blobs(attempt.image.id)):
            if blob.state is BlobState.STAGED and blob.verdict is not None:
                verdict = verdict_from_json(blob.verdict)
                attempt.kept = verdict.reports
                attempt.progress.done = attempt.progress.total = verdict.source_size
                return blob, verdict
    judgement = await asyncio.to_thread(attempt.judge)
    return await _deliver(attempt, lambda: _fetched(attempt, judgement), judgement)


def _fetched(attempt: Attempt, judgement: Judgement) -> Iterator[Block]:
    """Blocks of the source; runs in the delivery's thread, so it may block."""
    work = attempt.work
    source = attempt.site.methods[work.method].open(
        attempt.secret, max_size=judgement.decision.plan.max_size, check=attempt.check_hop
    )
    if source is None:
        raise Conflict(
            f"The staged data of image {work.image_id} is gone.", remedy="Stage it again.", code="not-staged"
        )
    attempt.progress.total = source.total
    yield from _closing(attempt, source)


def _once_more(attempt: Attempt, staged: Blob, sent: Verdict, judgement: Judgement) -> Callable[[], Iterator[Block]]:
    """The bytes for stages that have not seen them. What is expected of packed ones is held against packed ones."""
    site, work = attempt.site, attempt.work
    expects = attempt.expected or SUMS_URL in attempt.image.properties
    if expects and sent.size != sent.source_size and site.methods[work.method].move is Move.IMPORT_SOURCE:
        return lambda: _fetched(attempt, judgement)
    return lambda: site.store(staged.store).get(staged.key)


def _closing(attempt: Attempt, source: Source) -> Iterator[Block]:
    attempt.source = source
    try:
        check_size(attempt, source)
        if attempt.meter is not None:
            attempt.meter.expect(source.total)
        yield from source.blocks()
    finally:
        source.close()


async def _deliver(
    attempt: Attempt, blocks: Callable[[], Iterator[Block]], judgement: Judgement
) -> tuple[Blob, Verdict]:
    """Into the first store; where not all have to succeed, into the first that takes it."""
    refusals: list[Refusal] = []
    for store in _landings(attempt):
        try:
            return await _delivered(attempt, store, blocks, judgement)
        except Interrupted:
            raise
        except Unavailable as refusal:
            attempt.failed[store] = refusal
            refusals.append(refusal)
    raise refusals[0]


def _landings(attempt: Attempt) -> Sequence[str]:
    """The stores the bytes may be written to first."""
    if attempt.site.upstream is not None:
        return (attempt.site.default_store,)
    return attempt.work.stores[: 1 if attempt.work.all_must_succeed else None]


async def _delivered(
    attempt: Attempt, store: str, blocks: Callable[[], Iterator[Block]], judgement: Judgement
) -> tuple[Blob, Verdict]:
    site, work = attempt.site, attempt.work
    plan = judgement.decision.plan
    evidence = await gathered(attempt)
    attempt.pipeline = Pipeline(
        streaming(plan.stages),
        declared=attempt.declared,
        max_size=plan.max_size,
        hashes=site.hashes,
        expected=attempt.expected,
        evidence=evidence,
        tools=site.stream_tools,
    )
    blob = new_blob(site, work.image_id, store, key=place_key(site, work) if attempt.stays_elsewhere else None)
    attempt.progress.done = 0
    taker = Unkept() if attempt.stays_elsewhere else site.store(store)
    attempt.meter = meter(site, blob, attempt.image.owner, plan.quotas, None)
    delivery = Delivery(
        blob=blob, store=taker, pipeline=attempt.pipeline, progress=attempt.progress, meter=attempt.meter
    )
    with site.writes(blob.id, attempt.progress):
        async with site.catalog.begin() as tx:
            await tx.add_blob(blob)
            await charge(tx, attempt.image.owner, blob, plan.quotas, None)
        with site.metrics.taking(delivery.progress, delivery.pipeline):
            written = await deliver(site, delivery, blocks)
        if attempt.stays_elsewhere:
            _check_same(written.verdict)
        async with site.catalog.begin() as tx:
            return await tx.move_blob(blob.id, BlobState.STAGED, written.row), written.verdict


def _check_same(verdict: Verdict) -> None:
    """What is read at its source later has to be what was judged."""
    if verdict.size != verdict.source_size:
        raise bytes_changed()
