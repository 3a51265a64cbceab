"""Deciding about imports that wait for a person: who may, what waits, and what comes of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from gateway.model.approval import Approval, ApprovalState
from gateway.model.caller import Caller
from gateway.model.errors import BadRequest, Conflict, Forbidden, NotFound, Refusal
from gateway.model.image import Image
from gateway.model.imports import Import, ImportStatus
from gateway.model.verdict import Finding, Outcome, StageReport
from gateway.policy.record import approval_record
from gateway.ports import Transaction
from gateway.service.approve import ended_by
from gateway.service.attempt import Attempt
from gateway.service.publishing import fail
from gateway.service.site import Site
from gateway.stages.verdicts import report_from_json

log = logging.getLogger(__name__)

LONGEST_REASON = 500
WORDS = {"approve": ApprovalState.APPROVED, "refuse": ApprovalState.REFUSED}
_REMEDY = "GET /v2/info/import/approvals lists what you may decide."


@dataclass(frozen=True, slots=True)
class Waiting:
    approval: Approval
    work: Import
    image: Image


@dataclass(frozen=True, slots=True)
class Word:
    """What somebody says about a waiting import."""

    state: ApprovalState
    reason: str


def read_word(body: Mapping[str, Any]) -> Word:
    """Check the shape of `{"decision": "approve" or "refuse", "reason"}`. Raises BadRequest."""
    if strangers := sorted(body.keys() - {"decision", "reason"}):
        raise _bad(f"'{strangers[0]}' is not a key here")
    state, reason = WORDS.get(str(body.get("decision"))), body.get("reason", "")
    if state is None:
        raise _bad("'decision' has to be approve or refuse")
    if not isinstance(reason, str) or len(reason) > LONGEST_REASON:
        raise _bad(f"'reason' has to be a text of at most {LONGEST_REASON} characters")
    reason = " ".join("".join(letter if letter.isprintable() else " " for letter in reason).split())
    if state is ApprovalState.REFUSED and not reason:
        raise _bad("whoever is refused has to be told the 'reason'")
    return Word(state, reason)


def _bad(message: str) -> BadRequest:
    return BadRequest(
        f"Invalid decision: {message}.", remedy='Send {"decision": "approve", "reason": "..."}.', code="bad-decision"
    )


async def waiting(site: Site, caller: Caller) -> list[Waiting]:
    """`GET /v2/info/import/approvals`: what this caller may decide, oldest first, 200 at most."""
    async with site.catalog.read() as tx:
        found = await tx.pending_approvals(None if caller.is_admin else caller.roles)
        return [one for approval in found if (one := await _with_records(tx, approval)) is not None]


async def _with_records(tx: Transaction, approval: Approval) -> Waiting | None:
    work, image = await tx.import_(approval.import_id), await tx.image(approval.image_id)
    return Waiting(approval, work, image) if work is not None and image is not None else None


async def decide(site: Site, caller: Caller, import_id: str, word: Word) -> Approval:
    """`POST /v2/info/import/approvals/{import_id}`: it goes on, or it ends.

    The log is written before that takes effect. Raises NotFound, Forbidden, Conflict (`already-decided`,
    `approval-expired`), and Unavailable where the log cannot be written.
    """
    now = site.clock.now()
    async with site.catalog.begin() as tx:
        approval, work = await _decidable(site, tx, caller, import_id, now)
        decided = replace(approval, state=word.state, decided_by=caller.user_id, decided_at=now, reason=word.reason)
        if not await tx.decide_approval(decided):
            raise _decided(import_id)
        await _log(site, decided, work, now)
        if word.state is ApprovalState.APPROVED:
            await tx.progress(work.id, work.attempt, {"message": "Approved; the import goes on."})
            await tx.unpark_import(import_id)
            site.jobs.kick()
    if word.state is ApprovalState.REFUSED:
        await _end(site, decided)
    return decided


async def _decidable(
    site: Site, tx: Transaction, caller: Caller, import_id: str, now: datetime
) -> tuple[Approval, Import]:
    work, known = await tx.import_(import_id), await tx.approvals(import_id)
    mine = [one for one in known if caller.is_admin or one.role in caller.roles]
    if work is None or not mine:
        raise NotFound(f"No import {import_id} waits for you.", remedy=_REMEDY)
    approval = next((one for one in mine if one.state is ApprovalState.PENDING), None)
    if approval is None or work.status is not ImportStatus.PROCESSING:
        raise _decided(import_id)
    if caller.user_id == work.user_id and not site.limits.approve_own:
        raise Forbidden("You may not decide about your own import.", remedy="Ask a colleague.", code="own-import")
    if approval.expires_at <= now:
        raise Conflict(f"The time to decide about import {import_id} is over.", code="approval-expired")
    return approval, work


def _decided(import_id: str) -> Conflict:
    return Conflict(f"Import {import_id} does not wait any more.", remedy=_REMEDY, code="already-decided")


async def settle(site: Site, now: datetime) -> None:
    """What nobody decided in time expires; what was not approved ends, also where a crash came between."""
    async with site.catalog.read() as tx:
        overdue = await tx.overdue_approvals(now)
    for one in overdue:
        try:
            await _expire(site, one, now)
        except Refusal as refusal:
            log.warning("import %s does not expire yet: %s", one.import_id, refusal.message)
    async with site.catalog.read() as tx:
        negative = await tx.negative_approvals()
    for one in negative:
        await _end(site, one)


async def _expire(site: Site, approval: Approval, now: datetime) -> None:
    expired = replace(approval, state=ApprovalState.EXPIRED, decided_at=now)
    async with site.catalog.begin() as tx:
        work = await tx.import_(approval.import_id)
        if work is not None and await tx.decide_approval(expired):
            await _log(site, expired, work, now)


async def _end(site: Site, approval: Approval) -> None:
    async with site.catalog.read() as tx:
        found = await _with_records(tx, approval)
    if found is None:
        return  # the image was deleted, and its import ended with it
    refusal = ended_by(approval)
    attempt = Attempt(
        site=site, work=found.work, image=found.image, policy=site.policy.tree, left=(), kept=_told(found.work, refusal)
    )
    attempt.progress.done, attempt.progress.total = found.work.bytes_done, found.work.bytes_total
    await fail(attempt, refusal)


def _told(work: Import, refusal: Refusal) -> tuple[StageReport, ...]:
    """The import's reports, the last of which is that of the stage it ends at."""
    reports = tuple(report_from_json(report) for report in work.report)
    finding = Finding(code=refusal.code, message=refusal.message, remedy=refusal.remedy)
    last = [replace(one, outcome=Outcome.REFUSED, findings=(*one.findings, finding)) for one in reports[-1:]]
    return (*reports[:-1], *last)


async def _log(site: Site, approval: Approval, work: Import, now: datetime) -> None:
    entry = approval_record(approval, project=work.owner, decision_id=work.decision_id, at=now, revision=work.revision)
    await asyncio.to_thread(site.decisions.record, entry)
