"""How a project's imports have ended, as counts, and as the facts that let a method be earned and lost.

An import counts where it ends, in the same transaction. Accepted: an image became active. Rejected: its bytes or its
request were refused for what they are. Nothing else counts: not a source that broke, an upload that was cut off, a
quota, a stop, a part of the site that was away, nor a request that was turned down before anything began.
"""

from __future__ import annotations

from datetime import datetime

from gateway.model.decision import ReasonCode
from gateway.model.errors import ContentRefused, OverLimit, PolicyRefused
from gateway.model.trust import History
from gateway.policy.facts import FactValue
from gateway.ports import Transaction

ACCEPTED = "project.imports.accepted"

_HELD_AGAINST = (ReasonCode.NOT_GRANTED, ReasonCode.OVER_LIMIT, ReasonCode.DENIED)
"""The policy's reasons that are about the import itself; the others are the site's."""


def facts(history: History, now: datetime) -> dict[str, FactValue]:
    """`first_at` is in whole days, and absent before the first accepted import."""
    found: dict[str, FactValue] = {ACCEPTED: history.accepted, "project.imports.rejected": history.rejected}
    if history.first_at is not None:
        found["project.imports.first_at"] = max(0, (now - history.first_at).days)
    return found


async def accepted(tx: Transaction, project: object, *, now: datetime) -> None:
    """One more, for the project whose request it was."""
    await tx.count_import(str(project), accepted=True, now=now)


async def failed(tx: Transaction, project: object, refusal: BaseException, *, now: datetime) -> None:
    """One more rejected, if `refusal` says that it was."""
    if is_rejection(refusal):
        await tx.count_import(str(project), accepted=False, now=now)


def is_rejection(refusal: BaseException) -> bool:
    if isinstance(refusal, PolicyRefused):
        return refusal.code in _HELD_AGAINST
    return isinstance(refusal, ContentRefused | OverLimit)
