"""What a project's standing rests on besides its tags: what it has imported so far, and what is opened for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class History:
    """How a project's imports and uploads have ended.

    `accepted` made an image active; `rejected` were refused for what they are, by a stage, a limit or the policy.
    Neither counts what failed for another reason. `first_at` is when the first one was accepted.
    """

    accepted: int = 0
    rejected: int = 0
    first_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A break-glass rule (`policy/id`) opened for a project: by whom, why, and until when.

    It is over at `until` by itself, or at `ended_at`, whichever comes first. Its record stays.
    """

    id: str
    project: str
    rule: str
    reason: str
    opened_by: str
    opened_at: datetime
    until: datetime
    ended_at: datetime | None = None
    ended_by: str | None = None

    @property
    def duration(self) -> timedelta:
        """How long it was opened for."""
        return self.until - self.opened_at
