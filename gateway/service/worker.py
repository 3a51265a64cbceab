"""Carrying out one import: obtain the bytes, judge them, publish. Run by the durable engine, at least once.

What is already done is read from the records, not from memory: a staged blob is not fetched again after a crash.
Every publish is fenced by the attempt number, so that a worker that was thought dead changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gateway.model.errors import Cancelled, Conflict, Interrupted, NotFound, Refusal, SourceRefused, Unavailable
from gateway.model.image import Blob, BlobState, Image, Move
from gateway.model.imports import Import, ImportMove
from gateway.model.verdict import StageReport, Verdict
from gateway.policy.rules import Policy
from gateway.ports import Block, Source, Target
from gateway.service.delivery import Delivery, beside, deliver, new_blob
from gateway.service.images import activation, doom
from gateway.service.imports import worker_facts
from gateway.service.judge import Judgement, judge_under, remember, seen
from gateway.service.site import Progress, Site
from gateway.stages.images.agreement import match
from gateway.stages.pipeline import Declared, Pipeline, Tools
from gateway.stages.verdicts import covers, reports_to_json, verdict_from_json

log = logging.getLogger(__name__)

RESTARTS = 20
"""An import that was begun more often than this is given up: it is probably what kills its workers."""


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One try: the import as it stood at its beginning, its image and the tree it was granted under."""

    site: Site
    work: Import
    image: Image
    policy: Policy
    progress: Progress = field(default_factory=Progress)
    pipeline: Pipeline | None = None
    kept: tuple[StageReport, ...] = ()

    @property
    def reports(self) -> tuple[StageReport, ...]:
        return self.pipeline.reports() if self.pipeline is not None else self.kept

    @property
    def declared(self) -> Declared:
        return Declared(self.image.disk_format, self.image.container_format)

    def judge(self, verdict: Verdict | None = None, target: Target | None = None) -> Judgement:
        """Decide under the pinned tree, with what is known by now. Runs in a thread."""
        values = dict(worker_facts(self.work))
        if target is not None:
            values |= {f"request.{name}": getattr(target, name) for name in ("scheme", "host", "port", "path")}
        if verdict is not None:
            values |= seen(verdict)
        return judge_under(
            self.site, self.policy, self.work.method, values, image_id=self.image.id, final=verdict is not None
        )


async def run(site: Site, import_id: str) -> None:
    """Try until the import has ended by name. Returns also when somebody else has ended it."""
    for tries_left in reversed(range(site.limits.attempts)):
        try:
            await _try(site, import_id, tries_left)
            return
        except Cancelled:
            return
        except Interrupted:
            # Never returning keeps the work in the engine's hands: it starts anew with the next process.
            await asyncio.Event().wait()
        except _Again:
            await asyncio.sleep(site.limits.retry_delay.total_seconds())


class _Again(Exception):
    """A fault that may pass, and tries are left."""


async def _try(site: Site, import_id: str, tries_left: int) -> None:
    attempt = await _begin(site, import_id)
    try:
        async with _reporting(attempt):
            blob, verdict = await _obtain(attempt)
            judgement = await asyncio.to_thread(attempt.judge, verdict)
            if not covers(verdict.reports, judgement.decision.plan.stages):
                blob, verdict = await _deliver(attempt, lambda: site.store(blob.store).get(blob.key), judgement)
            match(verdict, attempt.declared)
        await _publish(attempt, blob, verdict, judgement)
    except (Cancelled, Interrupted):
        raise
    except Refusal as refusal:
        if tries_left and _may_pass(refusal):
            site.kick_reaper()
            raise _Again from refusal
        await _fail(attempt, refusal)
    except Exception:
        # The last net: a fault of our own must still end the import by name, or it would stay open for ever.
        log.exception("import %s of image %s failed", import_id, attempt.image.id)
        await _fail(attempt, _internal(attempt.work))


def _may_pass(refusal: Refusal) -> bool:
    return isinstance(refusal, Unavailable) or (isinstance(refusal, SourceRefused) and refusal.transient)


def _internal(work: Import) -> Refusal:
    return Refusal(
        f"The import failed inside the gateway (request {work.request_id or work.id}).",
        remedy="Try again; if it happens again, give the operator that number.",
        code="internal",
    )


async def _begin(site: Site, import_id: str) -> Attempt:
    """Take the import: one more attempt. Bytes that an earlier attempt left unfinished are doomed."""
    now = site.clock.now()
    async with site.catalog.begin() as tx:
        work = await tx.begin_attempt(import_id, now=now)
        image = await tx.image(work.image_id)
        if image is None:
            raise Cancelled(f"Image {work.image_id} is gone.")
        await doom(tx, [b for b in await tx.blobs(image.id) if b.state is BlobState.WRITING])
        policy = await site.policy.at(work.revision, tx.tree)
    attempt = Attempt(site=site, work=work, image=image, policy=policy)
    if work.attempt > RESTARTS:
        await _fail(attempt, _internal(work))
        raise Cancelled("given up")
    return attempt


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
    site, work = attempt.site, attempt.work
    secret = site.seal.open(work.sealed) if work.sealed else {}
    source = site.methods[work.method].open(
        secret, max_size=judgement.decision.plan.max_size, check=lambda target: _check_hop(attempt, target)
    )
    if source is None:
        raise Conflict(
            f"The staged data of image {work.image_id} is gone.", remedy="Stage it again.", code="not-staged"
        )
    attempt.progress.total = source.total
    yield from _closing(source)


def _closing(source: Source) -> Iterator[Block]:
    try:
        yield from source.blocks()
    finally:
        source.close()


def _check_hop(attempt: Attempt, target: Target) -> None:
    """A hop must be granted like the first one; told to stop, it goes no further."""
    if attempt.progress.stop is not None:
        raise attempt.progress.stop
    attempt.judge(target=target)


async def _deliver(
    attempt: Attempt, blocks: Callable[[], Iterator[Block]], judgement: Judgement
) -> tuple[Blob, Verdict]:
    site, work = attempt.site, attempt.work
    plan = judgement.decision.plan
    attempt.pipeline = Pipeline(
        plan.stages,
        declared=attempt.declared,
        max_size=plan.max_size,
        hashes=site.hashes,
        tools=Tools(beside=beside, tick=site.clock.monotonic),
    )
    blob = new_blob(site, work.image_id, work.store)
    async with site.catalog.begin() as tx:
        await tx.add_blob(blob)
    attempt.progress.done = 0
    delivery = Delivery(blob=blob, store=site.store(work.store), pipeline=attempt.pipeline, progress=attempt.progress)
    written = await deliver(site, delivery, blocks)
    async with site.catalog.begin() as tx:
        return await tx.move_blob(blob.id, BlobState.STAGED, written.row), written.verdict


@asynccontextmanager
async def _reporting(attempt: Attempt) -> AsyncIterator[None]:
    """Keep progress in the records while the bytes move; a lost fence or the end of the process tells them to stop."""
    reporter = asyncio.create_task(_report(attempt))
    try:
        yield
    finally:
        reporter.cancel()


async def _report(attempt: Attempt) -> None:
    site, progress = attempt.site, attempt.progress
    while True:
        await asyncio.sleep(site.limits.progress_interval.total_seconds())
        try:
            async with site.catalog.begin() as tx:
                current = await tx.progress(attempt.work.id, attempt.work.attempt, _progress(attempt))
        except Unavailable:
            continue  # progress is a courtesy; the next tick tries again
        if not current:
            progress.tell(Cancelled("The image was deleted, or another attempt took over."))


def _progress(attempt: Attempt) -> dict[str, object]:
    return {
        "bytes_done": attempt.progress.done,
        "bytes_total": attempt.progress.total,
        "report": reports_to_json(attempt.reports),
    }


async def _publish(attempt: Attempt, blob: Blob, verdict: Verdict, judgement: Judgement) -> None:
    """The only place where an import makes bytes readable."""
    site, work, image = attempt.site, attempt.work, attempt.image
    now = site.clock.now()
    done = {"bytes_done": verdict.source_size, "bytes_total": verdict.source_size}
    values = {**done, "report": reports_to_json(verdict.reports), "sealed": None}
    async with site.catalog.begin() as tx:
        await tx.move_import(work.id, ImportMove.SUCCEED, attempt=work.attempt, now=now, values=values)
        others = [b for b in await tx.blobs(image.id) if b.id != blob.id]
        await tx.move_blob(blob.id, BlobState.KEPT)
        await doom(tx, others)
        await tx.add_location(image.id, blob.id, now=now)
        await remember(tx, judgement, image.id)
        await tx.move_image(image.id, Move.ACTIVATE, now=now, values=activation(verdict, site.limits.image_hash))
    if others:
        site.kick_reaper()


async def _fail(attempt: Attempt, refusal: Refusal) -> None:
    """End by name: the import says what happened and what to do, the image is queued again, its bytes are doomed."""
    site, work = attempt.site, attempt.work
    now = site.clock.now()
    values = {
        **_progress(attempt),
        "code": refusal.code,
        "message": refusal.message,
        "remedy": refusal.remedy,
        "sealed": None,
    }
    try:
        async with site.catalog.begin() as tx:
            await tx.move_import(work.id, ImportMove.FAIL, attempt=work.attempt, now=now, values=values)
            await tx.move_image(work.image_id, Move.FAIL, now=now, values={"size": None, "virtual_size": None})
            await doom(tx, await tx.blobs(work.image_id))
    except (Cancelled, NotFound):
        return  # deleted meanwhile, or another attempt took over: nothing is ours to end
    finally:
        site.kick_reaper()
