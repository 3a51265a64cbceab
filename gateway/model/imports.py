"""The durable work item and the table of its moves. What users see of it are the Images API's tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from gateway.model.errors import Cancelled


class ImportStatus(StrEnum):
    """The statuses of the Images API's tasks."""

    PENDING = "pending"
    PROCESSING = "processing"
    SUCCESS = "success"
    FAILURE = "failure"


class ImportType(StrEnum):
    """The types of the Images API's tasks: an import of any method, or a location that is judged where it is.

    The last is no work, but says why an image was deactivated: today's policy refuses what an earlier one had allowed.
    """

    IMPORT = "api_image_import"
    LOCATION = "location_import"
    REJUDGED = "policy_rejudge"


class ImportMove(StrEnum):
    START = "start"
    SUCCEED = "succeed"
    FAIL = "fail"


_OPEN = frozenset({ImportStatus.PENDING, ImportStatus.PROCESSING})

IMPORT_MOVES: Mapping[ImportMove, tuple[frozenset[ImportStatus], ImportStatus]] = {
    ImportMove.START: (_OPEN, ImportStatus.PROCESSING),
    ImportMove.SUCCEED: (frozenset({ImportStatus.PROCESSING}), ImportStatus.SUCCESS),
    ImportMove.FAIL: (_OPEN, ImportStatus.FAILURE),
}


def import_target(status: ImportStatus, move: ImportMove) -> ImportStatus:
    """The status after `move`. Raises Cancelled where the import has already ended."""
    sources, after = IMPORT_MOVES[move]
    if status not in sources:
        raise Cancelled(f"The import has already ended ({status}); it cannot {move}.")
    return after


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One import of one image. Each try is an attempt with a number; a publish is fenced by it.

    `request` is the `method` object as it may be shown (no query strings); `sealed` holds what only the worker may
    read; `bytes_done`/`bytes_total` count source bytes; `report` is the list of stage reports as tasks show it.

    `stores` are the ones to fill, `stores_left` those not done yet, `stores_failed` says why one will not be filled.
    With `all_must_succeed` one that fails is the end of all of it.

    `project` asked for it, and takes turns with the others. `runner` is the process that carries it out; an open import
    without one waits in the queue, unless it is `parked` for a person. `begun_at` is when its attempt began.
    """

    id: str
    image_id: str
    owner: str | None
    user_id: str
    method: str
    type: ImportType = ImportType.IMPORT
    status: ImportStatus = ImportStatus.PENDING
    attempt: int = 0
    request: Mapping[str, object] = field(default_factory=dict)
    sealed: bytes | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    stores: tuple[str, ...]
    stores_left: tuple[str, ...] = ()
    stores_failed: Mapping[str, str] = field(default_factory=dict)
    all_must_succeed: bool = True
    decision_id: str
    revision: str
    bytes_done: int = 0
    bytes_total: int | None = None
    report: tuple[Mapping[str, object], ...] = ()
    code: str | None = None
    message: str = ""
    remedy: str = ""
    created_at: datetime
    updated_at: datetime
    request_id: str = ""
    project: str = ""
    runner: str | None = None
    parked: bool = False
    begun_at: datetime | None = None
