"""Sharing: one project's membership of one image ("Image members" in the Images API reference)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class MemberStatus(StrEnum):
    """What the member has answered. It may change its mind at any time, so there is no table of moves."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A project that an image is shared with. It counts only while the image's visibility is `shared`."""

    image_id: str
    member_id: str
    status: MemberStatus = MemberStatus.PENDING
    created_at: datetime
    updated_at: datetime
