"""The `convert` stage: the staged bytes once more, in the format the policy wants, in a blob of their own.

Rule 1: a second opinion comes first; an emulator that sees another disk than the inspect stage converts nothing.
Rule 2: what comes out is inspected like anything that comes in. Rule 3: the old blob is doomed by the transaction that
makes the new one whole, so a crash leaves the one or the other, and what was being written is the reaper's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from gateway.model.decision import StageCall
from gateway.model.errors import Cancelled, ContentRefused, OverLimit, Unavailable
from gateway.model.image import Blob, BlobState
from gateway.model.verdict import Outcome, StageReport, Verdict
from gateway.ports.converter import Conversion, Converter
from gateway.service.attempt import Attempt
from gateway.service.delivery import Delivery, Written, deliver, in_thread, new_blob
from gateway.service.locations import bytes_changed
from gateway.service.second_opinion import on_disk, opinion
from gateway.service.site import Site
from gateway.service.spool import read
from gateway.service.staged import Case, Staged
from gateway.service.usage import charge
from gateway.stages.images.opinion import disk_of
from gateway.stages.pipeline import Declared, Pipeline
from gateway.stages.verdicts import verdict_to_json

NAME = "convert"
NO_DISKS = frozenset({"iso", "ami", "aki", "ari"})
"""Made for something else than to be a machine's disk: a conversion would only break them."""


Made = tuple[Path, int]
"""A file, and its size in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the policy asks for. `max_size` of the result in bytes, None where only the spool limits it."""

    target: str
    compress: bool
    max_size: int | None


async def convert(case: Case, staged: Staged, call: StageCall) -> Staged:
    """What is staged from now on, judged once more; in its verdict, `made_of` is what was sent.

    Again after a crash, it goes on where the records say it is. Raises ContentRefused, OverLimit, OverQuota,
    PolicyRefused, Unavailable, Cancelled.
    """
    attempt = case.attempt
    assert attempt is not None, "an upload does not wait for conversions"
    if staged.verdict.made_of is not None:
        return await _judged(attempt, _resumed(case, attempt, staged))
    options, plan = call.as_mapping(), case.judgement.decision.plan
    wanted = Wanted(target=str(options["target"]), compress=bool(options.get("compress")), max_size=plan.max_size)
    if unchanged := _unchanged(attempt, staged.verdict, wanted):
        case.note(*unchanged)
        return staged
    tool = _able(attempt, staged.verdict, wanted)
    return await _judged(attempt, await _converted(case, attempt, staged, wanted, tool))


async def _judged(attempt: Attempt, made: Staged) -> Staged:
    """A conversion's sizes are held to the limits like those of what was sent."""
    return replace(made, judgement=await asyncio.to_thread(attempt.judge, made.verdict))


def _resumed(case: Case, attempt: Attempt, staged: Staged) -> Staged:
    """The report of the earlier try stands with the blob; this try makes it its own."""
    reports = staged.verdict.reports
    case.notes.extend(finding for report in reports if report.name == NAME for finding in report.findings)
    attempt.kept = tuple(report for report in reports if report.name != NAME)
    return replace(staged, verdict=replace(staged.verdict, reports=attempt.kept))


def _unchanged(attempt: Attempt, verdict: Verdict, wanted: Wanted) -> tuple[str, str] | None:
    declared = attempt.declared.disk_format
    if declared in NO_DISKS:
        return "not-converted", f"An image of disk format {declared} stays what it is."
    if disk_of(verdict) == wanted.target:
        return "nothing-to-do", f"The image is {wanted.target} already."
    return None


def _able(attempt: Attempt, verdict: Verdict, wanted: Wanted) -> Converter:
    """Raises Unavailable, ContentRefused, OverLimit: before anything is begun."""
    tool, most = attempt.site.converter, _most(attempt.site, wanted)
    if attempt.stays_elsewhere:
        raise bytes_changed()
    if tool is None or wanted.target not in tool.makes or (wanted.compress and wanted.target not in tool.packs):
        packed = "compressed " if wanted.compress else ""
        raise Unavailable(
            f"The policy asks for a conversion to {packed}{wanted.target}, which this site cannot do.",
            remedy="Tell the operators of your cloud.",
            code="stage-unavailable",
        )
    if disk_of(verdict) not in tool.opens:
        raise ContentRefused(
            f"The image has to be converted to {wanted.target}, and what it is cannot be: {_named(verdict)}.",
            remedy=f"Import the plain disk inside, in one of these formats: {', '.join(sorted(tool.opens))}.",
            code="not-convertible",
        )
    if wanted.target == "raw" and (verdict.virtual_size or 0) > most:
        raise OverLimit(
            f"As raw the image would have {verdict.virtual_size} bytes; it may have {most} here.",
            remedy="Shrink the disk inside, or ask the operator for a higher limit.",
        )
    return tool


def _named(verdict: Verdict) -> str:
    if verdict.disk_format is None:
        return "nobody has looked"
    return f"a disk of format {verdict.disk_format}" if disk_of(verdict) else f"an archive with {verdict.disk_format}"


def _most(site: Site, wanted: Wanted) -> int:
    return site.spool.limit if wanted.max_size is None else min(wanted.max_size, site.spool.limit)


async def _converted(case: Case, attempt: Attempt, staged: Staged, wanted: Wanted, tool: Converter) -> Staged:
    site = attempt.site
    blob = new_blob(site, attempt.image.id, staged.blob.store)
    with site.writes(blob.id, attempt.progress):
        async with site.spool.room() as room:
            work = partial(_written_anew, attempt, staged, wanted, tool, room)
            path, size = await in_thread(attempt.progress, work)
            written = await _delivered(attempt, blob, wanted, partial(read, path), size)
        verdict = _joined(staged.verdict, written.verdict)
        _note(case, verdict, tool)
        return replace(staged, blob=await _taken(case, attempt, staged.blob, blob, verdict), verdict=verdict)


def _written_anew(attempt: Attempt, staged: Staged, wanted: Wanted, tool: Converter, room: Path) -> Made:
    """In a worker thread. The import's progress grows by the size of what is read."""
    progress, verdict = attempt.progress, staged.verdict
    done = progress.done
    progress.total = done + verdict.size

    def tell(part: float) -> None:
        progress.done = done + int(part * verdict.size)

    image = on_disk(attempt.site, staged, room)
    opinion(tool, image, verdict, progress.check)
    into = room / "made"
    into.mkdir()
    conversion = Conversion(
        source=image,
        disk_format=disk_of(verdict) or "",
        target=wanted.target,
        into=into,
        max_size=_most(attempt.site, wanted),
        compress=wanted.compress,
    )
    path = tool.convert(conversion, check=progress.check, tell=tell)
    return path, path.stat().st_size


async def _delivered(
    attempt: Attempt, blob: Blob, wanted: Wanted, blocks: Callable[[], Iterator[bytes]], size: int
) -> Written:
    site = attempt.site
    pipeline = Pipeline(
        (StageCall("inspect"),),
        declared=Declared(wanted.target, "bare"),
        max_size=_most(site, wanted),
        hashes=(*site.hashes, *attempt.demanded),
        tools=site.stream_tools,
    )
    attempt.progress.total = attempt.progress.done + size
    delivery = Delivery(blob=blob, store=site.store(blob.store), pipeline=pipeline, progress=attempt.progress)
    async with site.catalog.begin() as tx:
        await tx.add_blob(blob)
        await charge(tx, attempt.image.owner, blob, attempt.quotas, size)
    return await deliver(site, delivery, blocks)


async def _taken(case: Case, attempt: Attempt, old: Blob, blob: Blob, verdict: Verdict) -> Blob:
    """The new blob is whole and the old one goes, together; unless another attempt is at work by now."""
    report = StageReport(name=NAME, outcome=Outcome.PASSED, findings=tuple(case.notes), size=verdict.source_size)
    kept = replace(verdict, reports=(*verdict.reports, report))
    async with attempt.site.catalog.begin() as tx:
        if not await tx.progress(attempt.work.id, attempt.work.attempt, attempt.values()):
            raise Cancelled("The image was deleted, or another attempt took over.")
        await tx.move_blob(old.id, BlobState.DOOMED)
        row = {"size": verdict.size, "verdict": verdict_to_json(kept)}
        taken = await tx.move_blob(blob.id, BlobState.STAGED, row)
    attempt.site.kick_reaper()
    return taken


def _joined(old: Verdict, new: Verdict) -> Verdict:
    return replace(
        new,
        source_size=old.source_size,
        source_hashes=old.source_hashes,
        reports=old.reports,
        made_of=replace(old, reports=()),
    )


def _note(case: Case, verdict: Verdict, tool: Converter) -> None:
    old = verdict.as_sent
    made = f"{tool.version} made {verdict.disk_format} of {old.disk_format}: {old.size} bytes became {verdict.size}."
    case.note("converted", made)
    for algorithm, digest in old.hashes.items():
        case.note("original", f"The {algorithm} of the bytes before was {digest}.")
