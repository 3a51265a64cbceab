"""approve: an import waits for a person, without holding a worker's place.

It is parked: its run ends, its record says what it waits for, its bytes stay staged. Who decides puts it back into the
queue, in the transaction that keeps the decision; then its stages run again, and what was approved is compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial

from gateway.model.approval import Approval, ApprovalState
from gateway.model.decision import StageCall
from gateway.model.errors import Cancelled, ContentRefused, Refusal
from gateway.model.verdict import Verdict
from gateway.policy.record import said_time
from gateway.service.attempt import Attempt
from gateway.service.copies import Original, prove
from gateway.service.delivery import in_thread
from gateway.service.staged import Case, Staged

LONGEST = timedelta(days=366)


class Parked(Exception):
    """The run ends here; the import does not."""

    def __init__(self, approval: Approval) -> None:
        super().__init__(approval.import_id)
        self.approval = approval


async def approve(case: Case, staged: Staged, call: StageCall) -> Staged:
    """Raises Parked until somebody has decided, and ContentRefused (`approval-refused`, `approval-stale`)."""
    attempt = case.attempt
    assert attempt is not None, "an upload does not wait for people"
    asked = _asked(case, attempt, staged, call.as_mapping())
    async with case.site.catalog.read() as tx:
        known = await tx.approvals(attempt.work.id)
    approval = next((one for one in known if one.role == asked.role), asked)
    if approval.state is ApprovalState.PENDING:
        case.note("waiting", waits_for(approval))
        raise Parked(approval)
    if approval.state is not ApprovalState.APPROVED:
        raise ended_by(approval)
    await _check_same(case, attempt, staged, approval)
    case.note("approved", f"Approved by {approval.decided_by}.{_said(approval)}")
    return staged


def _asked(case: Case, attempt: Attempt, staged: Staged, options: Mapping[str, str | int | bool]) -> Approval:
    now, longest = case.site.clock.now(), case.site.limits.approval_after
    expires = timedelta(seconds=int(options["expires"])) if "expires" in options else longest
    return Approval(
        import_id=attempt.work.id,
        role=str(options.get("by", "")),
        image_id=attempt.image.id,
        digest=fingerprint(staged.verdict),
        asked_at=now,
        expires_at=now + min(expires, LONGEST),
    )


def fingerprint(verdict: Verdict) -> str:
    """The strongest digest of the bytes."""
    name = next((name for name in ("sha512", "sha256") if name in verdict.hashes), "md5")
    return f"{name}:{verdict.hashes[name]}"


async def _check_same(case: Case, attempt: Attempt, staged: Staged, approval: Approval) -> None:
    """What goes on is what was approved, read once more: it may have lain there for days."""
    if fingerprint(staged.verdict) != approval.digest:
        raise ContentRefused(
            "The bytes are not those that were approved.",
            remedy="Import the image again; it has to be approved anew.",
            code="approval-stale",
        )
    original = Original(staged.blob, staged.verdict)
    await in_thread(attempt.progress, partial(prove, case.site, original, attempt.progress.check))


async def park(attempt: Attempt, approval: Approval) -> None:
    """Leave it to whoever decides. Raises Cancelled where the import is not this attempt's any more."""
    work = attempt.work
    async with attempt.site.catalog.begin() as tx:
        if not await tx.park_import(work.id, work.attempt, {**attempt.values(), "message": waits_for(approval)}):
            raise Cancelled("The image was deleted, or another attempt took over.")
        if all(one.role != approval.role for one in await tx.approvals(work.id)):
            await tx.add_approval(approval)


def waits_for(approval: Approval) -> str:
    who = f"somebody with the role '{approval.role}'" if approval.role else "an administrator"
    return f"Waits for {who} to approve it, until {said_time(approval.expires_at)}."


def ended_by(approval: Approval) -> Refusal:
    """What an import ends with that was not approved."""
    if approval.state is ApprovalState.EXPIRED:
        return Refusal(
            f"Nobody approved this import until {said_time(approval.expires_at)}.",
            remedy="Ask for its approval, then import the image again.",
            code="approval-expired",
        )
    return ContentRefused(
        f"This import was not approved.{_said(approval)}",
        remedy="Do what the reason asks for, then import the image again.",
        code="approval-refused",
    )


def _said(approval: Approval) -> str:
    return f" The reason: {approval.reason}" if approval.reason else ""
