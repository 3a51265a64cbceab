"""The image record and the one table of its status moves.

Rule 1: every status change is a row of MOVES; code looks up, it never compares statuses of its own.
Rule 2: a refused move changes nothing.

The statuses are the Images API's ("Image Statuses" in its reference).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from gateway.model.errors import BadRequest, Conflict


class Status(StrEnum):
    QUEUED = "queued"
    SAVING = "saving"
    UPLOADING = "uploading"
    IMPORTING = "importing"
    ACTIVE = "active"
    DEACTIVATED = "deactivated"
    DELETED = "deleted"


VISIBILITIES = ("public", "private", "shared", "community")


class Move(StrEnum):
    """What happens to an image; the value is the word used in messages."""

    STAGE = "stage"
    UNSTAGE = "unstage"
    SAVE = "save"
    UNSAVE = "unsave"
    IMPORT_STAGED = "import-staged"
    IMPORT_SOURCE = "import-source"
    FAIL = "fail"
    ACTIVATE = "activate"
    ACTIVATE_SAVED = "activate-saved"
    DEACTIVATE = "deactivate"
    REACTIVATE = "reactivate"
    COPY = "copy"
    DELETE = "delete"


_ALIVE = frozenset(Status) - {Status.DELETED}

BUSY = frozenset({Status.SAVING, Status.UPLOADING, Status.IMPORTING})
"""What an image is while its bytes arrive or wait for their import."""

MOVES: Mapping[Move, tuple[frozenset[Status], Status]] = {
    Move.STAGE: (frozenset({Status.QUEUED}), Status.UPLOADING),
    Move.UNSTAGE: (frozenset({Status.UPLOADING}), Status.QUEUED),
    Move.SAVE: (frozenset({Status.QUEUED}), Status.SAVING),
    Move.UNSAVE: (frozenset({Status.SAVING}), Status.QUEUED),
    Move.IMPORT_STAGED: (frozenset({Status.UPLOADING}), Status.IMPORTING),
    Move.IMPORT_SOURCE: (frozenset({Status.QUEUED}), Status.IMPORTING),
    Move.FAIL: (frozenset({Status.IMPORTING}), Status.QUEUED),
    Move.ACTIVATE: (frozenset({Status.IMPORTING}), Status.ACTIVE),
    Move.ACTIVATE_SAVED: (frozenset({Status.SAVING}), Status.ACTIVE),
    Move.DEACTIVATE: (frozenset({Status.ACTIVE, Status.DEACTIVATED}), Status.DEACTIVATED),
    Move.REACTIVATE: (frozenset({Status.ACTIVE, Status.DEACTIVATED}), Status.ACTIVE),
    Move.COPY: (frozenset({Status.ACTIVE}), Status.ACTIVE),
    Move.DELETE: (_ALIVE, Status.DELETED),
}


def target(status: Status, move: Move) -> Status:
    """The status after `move`. Raises Conflict, in Glance's words, where the table has no such row."""
    sources, after = MOVES[move]
    if status not in sources:
        raise Conflict(
            f"Image status transition from {status} to {after} is not allowed",
            remedy=f"'{move}' needs the image to be {' or '.join(sorted(sources))}; it is {status}.",
            code="status-conflict",
        )
    return after


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image record, as the Images API knows it. Sizes in bytes (`min_disk` GiB, `min_ram` MiB).

    `properties` are the free ones; `stores` the ids of the stores that hold its bytes; `import_id` the open import.
    """

    id: str
    owner: str | None
    status: Status = Status.QUEUED
    name: str | None = None
    disk_format: str | None = None
    container_format: str | None = None
    visibility: str = "shared"
    size: int | None = None
    virtual_size: int | None = None
    checksum: str | None = None
    os_hash_algo: str | None = None
    os_hash_value: str | None = None
    protected: bool = False
    os_hidden: bool = False
    min_disk: int = 0
    min_ram: int = 0
    tags: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime
    updated_at: datetime
    stores: tuple[str, ...] = ()
    import_id: str | None = None


def require_formats(image: Image) -> None:
    """Data may only be saved once both formats are set. Raises BadRequest, in Glance's words."""
    missing = [name for name in ("disk_format", "container_format") if getattr(image, name) is None]
    if missing:
        raise BadRequest(
            f"Properties {', '.join(missing)} must be set prior to saving data.",
            remedy="Set them with PATCH /v2/images/{id}, then send the data again.",
            code="formats-unset",
        )


class BlobState(StrEnum):
    """`WRITING` is the intent row, `PART` a piece of a resumable upload, `STAGED` is whole but nobody's, `KEPT` has a
    location, `DOOMED` is the reaper's.
    """

    WRITING = "writing"
    PART = "part"
    STAGED = "staged"
    KEPT = "kept"
    DOOMED = "doomed"


BLOB_MOVES: Mapping[BlobState, frozenset[BlobState]] = {
    BlobState.WRITING: frozenset({BlobState.PART, BlobState.STAGED, BlobState.KEPT, BlobState.DOOMED}),
    BlobState.PART: frozenset({BlobState.DOOMED}),
    BlobState.STAGED: frozenset({BlobState.KEPT, BlobState.DOOMED}),
    BlobState.KEPT: frozenset({BlobState.DOOMED}),
    BlobState.DOOMED: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """Bytes in one store under one final key: written once, then only read or reaped.

    `writer` is the process that writes it (unique to each start), empty once it is whole. `verdict` is the stored form
    of `gateway.model.verdict.Verdict`, present from `STAGED` on. `charged` is what it takes of its project's quota, in
    bytes: what is reserved while it is written, its size once it is whole; the catalog keeps it (`Transaction.charge`).
    """

    id: str
    image_id: str
    store: str
    key: str
    state: BlobState = BlobState.WRITING
    writer: str
    size: int | None = None
    verdict: Mapping[str, object] | None = None
    charged: int = 0
    created_at: datetime
