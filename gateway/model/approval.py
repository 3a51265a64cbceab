"""An import that waits for a person: who may decide, until when, and what was decided."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ApprovalState(StrEnum):
    """Only what is pending can be decided, once; the others stay as they are."""

    PENDING = "pending"
    APPROVED = "approved"
    REFUSED = "refused"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One demand of a policy on one import. `role` is who may decide besides administrators; empty for nobody else.

    `digest` is of the bytes it is about, as `ALGORITHM:HEX`. From `expires_at` on it can no longer be approved.
    """

    import_id: str
    role: str
    image_id: str
    digest: str
    asked_at: datetime
    expires_at: datetime
    state: ApprovalState = ApprovalState.PENDING
    decided_by: str | None = None
    decided_at: datetime | None = None
    reason: str = ""
