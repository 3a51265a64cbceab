"""Uploads that go on after they broke: the record of one, and the one table of its moves.

The bytes that have come are parts, blobs of their own in state PART; `offset` is the sum of their sizes. Nothing is
acknowledged that is not a part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gateway.model.errors import Refusal


class UploadState(StrEnum):
    """`OPEN` takes bytes, `WHOLE` has them all and waits for its verdict, `STAGED` is accepted, `CLOSED` is refused,
    expired or given up.
    """

    OPEN = "open"
    WHOLE = "whole"
    STAGED = "staged"
    CLOSED = "closed"


UPLOAD_MOVES: Mapping[UploadState, frozenset[UploadState]] = {
    UploadState.OPEN: frozenset({UploadState.OPEN, UploadState.WHOLE, UploadState.CLOSED}),
    UploadState.WHOLE: frozenset({UploadState.WHOLE, UploadState.STAGED, UploadState.CLOSED}),
    UploadState.STAGED: frozenset({UploadState.CLOSED}),
    UploadState.CLOSED: frozenset(),
}

LIVING = frozenset({UploadState.OPEN, UploadState.WHOLE})
"""The states in which an image is kept `uploading` by its upload; an image has at most one of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One resumable upload into an image's staging place. `length` (None: not said yet) and `offset` are in bytes.

    `version` counts the changes of the record: whoever holds an older one has lost it. `blob_id` is what is being
    written for it now. `facts` are those about who began it, `said` is its Upload-Metadata as it came, `refusal` what
    it was closed with (see `refusal_to_json`).
    """

    id: str
    image_id: str
    user_id: str
    store: str
    state: UploadState = UploadState.OPEN
    length: int | None = None
    offset: int = 0
    version: int = 0
    blob_id: str | None = None
    facts: Mapping[str, object]
    said: str = ""
    refusal: Mapping[str, object] | None = None
    created_at: datetime
    expires_at: datetime

    @property
    def is_whole(self) -> bool:
        """Whether every byte has come, whatever became of them."""
        if self.state is UploadState.CLOSED:
            return self.offset == self.length
        return self.state is not UploadState.OPEN


def refusal_to_json(refusal: Refusal) -> dict[str, object]:
    names = ("status", "code", "message", "remedy", "rule", "decision")
    return {name: getattr(refusal, name) for name in names}


def refusal_from_json(stored: Mapping[str, object]) -> Refusal:
    """The same to a caller as the one that was stored; its class is not kept."""
    values = {name: str(stored[name]) for name in ("code", "rule", "decision") if stored[name] is not None}
    refusal = Refusal(str(stored["message"]), remedy=str(stored["remedy"]), **values)
    refusal.status = int(str(stored["status"]))
    return refusal
