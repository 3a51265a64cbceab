"""The records' side of the ports: what is asked of a catalog, and the one transaction everything happens in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from gateway.model.approval import Approval
from gateway.model.caller import Caller
from gateway.model.image import Blob, BlobState, Image, Move, Status
from gateway.model.imports import Import, ImportMove
from gateway.model.member import Member, MemberStatus
from gateway.model.receipt import Receipt, Signature
from gateway.model.stop import Stop
from gateway.model.trust import History, Opening
from gateway.model.usage import Counted
from gateway.ports.queueing import Living, Queueing
from gateway.ports.uploading import Uploading


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """One list filter: `operator` is eq, neq, gt, gte, lt, lte or in; `values` has one item but for `in`."""

    field: str
    operator: str
    values: tuple[str | int | bool | datetime, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageQuery:
    """A page of images for one caller. `sort` holds (field, descending) pairs and always ends in a unique key.

    `filters` on a name that is no column compare a free property. `marker` is an image id; an unknown one is
    BadRequest. The caller sees its own images, public and community ones (community only when asked for by
    visibility or owned), and those shared with it whose membership is `member_status` (`all` for any). An admin sees
    everything, others' community images again only when asked for.
    """

    caller: Caller
    filters: tuple[Filter, ...] = ()
    tags: tuple[str, ...] = ()
    sort: tuple[tuple[str, bool], ...] = (("created_at", True), ("id", True))
    marker: str | None = None
    limit: int = 25
    hidden: bool = False
    member_status: str = "accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportQuery:
    """A page of all projects' imports. `type`, `status` and `owner` None leave nothing out.

    `sort` is as in ImageQuery, `marker` an import's id; an unknown one is BadRequest.
    """

    type: str | None = None
    status: str | None = None
    owner: str | None = None
    sort: tuple[tuple[str, bool], ...] = (("created_at", True), ("id", True))
    marker: str | None = None
    limit: int = 25


class Transaction(Queueing, Living, Uploading, Protocol):
    """All reads and writes of the records, inside one database transaction.

    A status moves through `move_image` and `move_import` alone. Both are compare-and-swap: the loser of a race gets
    the refusal the table gives, and nothing has changed.

    In `begin()` an image that was looked at, itself or its blobs, locations and imports, is this transaction's until
    its end: what was seen of it is still so when it is changed, however many write. Hence one image a transaction,
    before anything of its project (`used`, `charge`, `count_import`).
    """

    async def image(self, image_id: str) -> Image | None:
        """None for unknown and for deleted ids."""
        ...

    async def images(self, query: ImageQuery) -> Sequence[Image]: ...
    async def add_image(self, image: Image) -> None:
        """Raises Conflict for an id that exists or ever existed (ids of deleted images are tombstones)."""
        ...

    async def change_image(self, image_id: str, values: Mapping[str, Any], *, now: datetime) -> Image:
        """Set fields (never `status`); `tags` and `properties` are replaced whole. Raises NotFound."""
        ...

    async def move_image(
        self, image_id: str, move: Move, *, now: datetime, values: Mapping[str, Any] | None = None
    ) -> Image:
        """Move the status by MOVES and set `values` with it. Raises NotFound, Conflict."""
        ...

    async def active_images(self, after: str | None = None, limit: int = 100) -> Sequence[Image]:
        """Images of all projects that are active, in the order of their ids; with `after`, those behind that id."""
        ...

    async def abandoned_images(
        self, status: Status, before: datetime, limit: int = 100, after: Image | None = None
    ) -> Sequence[Image]:
        """Images in `status` whose `updated_at` is before a time, without an open import, oldest first.

        With `after`, the page behind that image, whatever has become of it.
        """
        ...

    async def busy_images(self) -> Sequence[Image]:
        """Images of all projects whose bytes arrive, or wait for their import."""
        ...

    async def member(self, image_id: str, member_id: str) -> Member | None: ...
    async def members(self, image_id: str) -> Sequence[Member]:
        """Oldest first. A deleted image keeps its members, so that their pages survive the deletion."""
        ...

    async def add_member(self, member: Member) -> None:
        """Raises Conflict for a project that is a member already."""
        ...

    async def change_member(self, image_id: str, member_id: str, status: MemberStatus, *, now: datetime) -> Member:
        """Raises NotFound."""
        ...

    async def drop_member(self, image_id: str, member_id: str) -> None:
        """Raises NotFound."""
        ...

    async def add_blob(self, blob: Blob) -> None: ...
    async def blob(self, blob_id: str) -> Blob | None: ...
    async def move_blob(self, blob_id: str, state: BlobState, values: Mapping[str, Any] | None = None) -> Blob:
        """By BLOB_MOVES. Whoever writes it lets go of it, unless it is DOOMED meanwhile. Raises NotFound, Conflict."""
        ...

    async def charge(self, blob_id: str, size: int) -> None:
        """What a blob that is written takes of its project's quota, in bytes. A whole blob is charged with its size
        and a doomed one with nothing, by `move_blob` itself.
        """
        ...

    async def used(self, project: str | None, counted: Counted, *, lock: bool = False) -> int:
        """How much of it a project has, this transaction's own changes included. With `lock`, whoever else asks with
        `lock` waits until this transaction has ended.
        """
        ...

    async def drop_blob(self, blob_id: str) -> None:
        """Forget a DOOMED blob whose bytes are gone."""
        ...

    async def blobs(self, image_id: str) -> Sequence[Blob]: ...
    async def kept_blobs(self, after: str | None = None, limit: int = 100) -> Sequence[Blob]:
        """KEPT ones of all images, in the order of their ids; with `after`, those behind that id."""
        ...

    async def doomed_blobs(self, limit: int = 100, after: Blob | None = None) -> Sequence[Blob]:
        """Oldest first. With `after`, the page behind that blob, whatever has become of it."""
        ...

    async def doomed_among(self, blob_ids: Sequence[str]) -> Sequence[str]:
        """Those of them that are DOOMED."""
        ...

    async def writing_blobs(self, not_by: str | None = None) -> Sequence[Blob]:
        """Intent rows: all, or those of other writers than `not_by`."""
        ...

    async def staged_without_image(self, limit: int = 100) -> Sequence[Blob]:
        """Blobs, not doomed yet, whose image is deleted, and KEPT ones without a location."""
        ...

    async def keys(self, store: str) -> Sequence[str]:
        """Keys of all blob rows of a store, whatever their state."""
        ...

    async def add_location(
        self, image_id: str, blob_id: str, *, now: datetime, metadata: Mapping[str, Any] | None = None
    ) -> None:
        """A blob that is KEPT may then be read. One that is STAGED is listed in `Image.stores`, and unreadable."""
        ...

    async def location_metadata(self, image_id: str) -> Mapping[str, Mapping[str, Any]]:
        """What callers wrote to each location of an image, by the blob's id."""
        ...

    async def describe_location(self, image_id: str, blob_id: str, metadata: Mapping[str, Any]) -> None: ...
    async def locations(self, image_id: str) -> Sequence[Blob]:
        """The blobs an image may be read from, oldest first."""
        ...

    async def drop_locations(self, image_id: str) -> None: ...
    async def add_import(self, work: Import) -> None: ...
    async def import_(self, import_id: str) -> Import | None: ...
    async def imports(self, image_id: str) -> Sequence[Import]:
        """All imports of an image, newest first."""
        ...

    async def all_imports(self, query: ImportQuery) -> Sequence[Import]: ...
    async def open_imports(self) -> Sequence[Import]:
        """Imports that are pending or processing."""
        ...

    async def count_open_imports(self) -> Mapping[str, int]:
        """How many are pending and processing, by status."""
        ...

    async def begin_attempt(self, import_id: str, *, runner: str | None = None, now: datetime) -> Import:
        """START: status processing and attempt + 1. Raises Cancelled if the import has ended, or `runner` is given
        and does not carry it out.
        """
        ...

    async def move_import(
        self,
        import_id: str,
        move: ImportMove,
        *,
        attempt: int | None,
        now: datetime,
        values: Mapping[str, Any] | None = None,
    ) -> Import:
        """By IMPORT_MOVES, fenced: with an `attempt`, only while it is the current one. Raises Cancelled."""
        ...

    async def progress(self, import_id: str, attempt: int, values: Mapping[str, Any]) -> bool:
        """Write progress fields if the attempt is current and processing; False if fenced out."""
        ...

    async def add_approval(self, approval: Approval) -> None:
        """Raises Conflict where the import waits for that role already."""
        ...

    async def approvals(self, import_id: str) -> Sequence[Approval]:
        """All of an import, oldest first, whatever their state."""
        ...

    async def pending_approvals(self, roles: Sequence[str] | None, limit: int = 200) -> Sequence[Approval]:
        """Those that open imports wait for, of these roles or (None) of all, oldest first."""
        ...

    async def overdue_approvals(self, now: datetime) -> Sequence[Approval]:
        """Pending ones of open imports whose time is over."""
        ...

    async def negative_approvals(self) -> Sequence[Approval]:
        """Refused and expired ones whose import is still open."""
        ...

    async def decide_approval(self, approval: Approval) -> bool:
        """Compare-and-swap from pending to its `state`, with who decided; False where it is not pending any more."""
        ...

    async def add_decision(
        self, decision_id: str, image_id: str | None, at: datetime, revision: str, record: Mapping[str, Any]
    ) -> None: ...
    async def decision(self, decision_id: str) -> Mapping[str, Any] | None: ...
    async def decisions(self, image_id: str) -> Sequence[Mapping[str, Any]]:
        """The records of the decisions that were acted on for an image, newest first."""
        ...

    async def add_receipt(self, receipt: Receipt) -> None:
        """In the transaction that makes its image active. Raises Conflict where the image has one."""
        ...

    async def receipt(self, image_id: str) -> Receipt | None: ...
    async def waiting_receipts(self, limit: int = 100) -> Sequence[Receipt]:
        """Those without a signature, oldest first."""
        ...

    async def sign_receipt(self, image_id: str, signature: Signature) -> None:
        """Of one that waits; one that is signed stays as it is."""
        ...

    async def keep_tree(self, revision: str, sources: Mapping[str, str]) -> None:
        """Keep a policy tree's files by revision; keeping it again is fine."""
        ...

    async def tree(self, revision: str) -> Mapping[str, str] | None: ...

    async def add_stop(self, stop: Stop) -> None: ...
    async def stops(self, *, lifted: bool = False) -> Sequence[Stop]:
        """The stops in force, oldest first; with `lifted`, every stop there ever was."""
        ...

    async def lift_stop(self, stop_id: str, *, by: str, reason: str, now: datetime) -> Stop:
        """Its record stays, with who lifted it and why. Raises NotFound where it is not in force."""
        ...

    async def history(self, project: str) -> History:
        """How a project's imports have ended so far; zeros for one that has never imported."""
        ...

    async def count_import(self, project: str, *, accepted: bool, now: datetime) -> None:
        """One more import of a project has ended so. Called in the transaction that ends it."""
        ...

    async def add_opening(self, opening: Opening) -> None:
        """Raises Conflict where the rule is open for that project at `opened_at`."""
        ...

    async def opening(self, opening_id: str) -> Opening | None: ...
    async def openings(self, project: str | None, *, now: datetime) -> Sequence[Opening]:
        """What is open at `now` for a project, or (None) for any, oldest first."""
        ...

    async def end_opening(self, opening_id: str, *, by: str, now: datetime) -> Opening:
        """Before its time. Raises NotFound where it is not open at `now`."""
        ...

    def native(self) -> Any:
        """The SQLAlchemy async connection, for tables that the records do not know."""
        ...


class Catalog(Protocol):
    """The records."""

    def begin(self) -> AbstractAsyncContextManager[Transaction]:
        """A write transaction: commits on a clean exit, rolls back on any exception. Unavailable where it fails.

        Where the database is lost at the commit, nobody knows whether it was made: Unavailable then, too.
        """
        ...

    @property
    def written(self) -> int | None:
        """How many write transactions have ended: what was read since is so still. None where others write too."""
        ...

    def read(self) -> AbstractAsyncContextManager[Transaction]:
        """A consistent snapshot, for reading only."""
        ...
