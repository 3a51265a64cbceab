"""The ports of the house. Their docstrings are the contracts; a conformance suite holds each adapter to them.

Catalog, Identity and Jobs are asynchronous (they wait for a database or a server); Store, Method and DecisionLog are
synchronous and run in worker threads, because bytes move in threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from gateway.model.caller import Caller
from gateway.model.image import Blob, BlobState, Image, Move, Status
from gateway.model.imports import Import, ImportMove
from gateway.model.member import Member, MemberStatus
from gateway.model.usage import Counted

Block = bytes | bytearray | memoryview
"""A run of image bytes. The receiver must not keep it after returning: the buffer is used again."""

BLOCK_SIZE = 1 << 20


class Clock(Protocol):
    """Time as a value. `now` is aware UTC; `monotonic` seconds only ever grow."""

    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...


class Identity(Protocol):
    """Turns a request's headers into a Caller."""

    async def identify(self, headers: Mapping[str, str], *, method: str, path: str) -> Caller:
        """`headers` has lower-case names; `path` is the canonical one, for credentials that open only some calls.

        Raises NotAuthenticated (401) or Unavailable (503), never anything else.
        """
        ...

    def challenge(self) -> str:
        """The WWW-Authenticate value a 401 carries."""
        ...

    async def aclose(self) -> None:
        """Let go of connections. Nobody is identified afterwards."""
        ...


class Store(Protocol):
    """A place for blobs, addressed by final keys.

    Every method raises only refusals of `gateway.model.errors`: NotFound, Conflict (the key exists), Unavailable
    (the store is away, full or broken), or what the iterator of `put` raised, with its own type.
    """

    name: str
    kind: str
    """The Images API's word for it: file, http."""
    read_only: bool
    """Whether it only refers to bytes elsewhere: then a key is a sealed place, and `put` raises Gone."""

    @property
    def properties(self) -> Mapping[str, object]:
        """What an administrator may see of it (`GET /v2/info/stores/detail`)."""
        ...

    def url(self, key: str) -> str:
        """Where a blob is, as services of the same cloud know places."""
        ...

    def put(self, key: str, blocks: Iterable[Block]) -> int:
        """Store all blocks under `key`; bytes are durable when it returns their count.

        If the iterator raises, nothing is readable under `key` and the exception leaves unchanged. An existing key
        is Conflict and its bytes stay. The key appears only once it is whole and on disk.
        """
        ...

    def get(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes in runs of at most 1 MiB. NotFound is raised by the call, not by the first `next`.

        Closing the iterator frees what it holds. A blob that ends early raises Unavailable.
        """
        ...

    def size(self, key: str) -> int:
        """Size in bytes. Raises NotFound."""
        ...

    def delete(self, key: str) -> None:
        """Remove the key; a missing key is fine (the reaper repeats itself)."""
        ...

    def keys(self) -> Iterator[str]:
        """Every whole key, and leftovers of broken puts if the store can have any."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a fetch is about to go. `host` is lower case, IDNA, without a trailing dot; `port` always filled in."""

    scheme: str
    host: str
    port: int
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRequest:
    """An import request's `method` object, read and checked.

    `facts` feed the policy (VOCABULARY names under `request.`); `shown` may be shown to anybody who sees the task;
    `secret` is what only the worker needs (the whole URL) and is kept sealed until the import ends. `with_token` asks
    for the caller's own token in it, under `token`, where the caller has sent one.
    """

    facts: Mapping[str, Any]
    shown: Mapping[str, str]
    secret: Mapping[str, str]
    with_token: bool = False


class Source(Protocol):
    """An open source. `total` in bytes, None where the source does not say."""

    total: int | None

    def blocks(self) -> Iterator[Block]:
        """Raises SourceRefused with a code and a remedy when the source breaks, stalls, lies or ends early."""
        ...

    def close(self) -> None: ...


class Method(Protocol):
    """Where bytes come from.

    `starts_from` is the status an image must have, `move` the status move of its import.
    """

    name: str
    starts_from: Status
    move: Move

    def read(self, method: Mapping[str, object]) -> SourceRequest:
        """Check the `method` object of an import request. Raises BadRequest."""
        ...

    def open(
        self, secret: Mapping[str, str], *, max_size: int | None, check: Callable[[Target], None]
    ) -> Source | None:
        """Open the source, or None where the bytes are already staged.

        `check` is called with every target before it is contacted (redirects too) and raises a Refusal to stop.
        No more than `max_size` bytes and one block are ever read.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a source says of its image before the first byte. `properties` are those the image takes over; `expected`
    are the digests its bytes have to have, by hashlib name, at least one of them; `size` in bytes.
    """

    disk_format: str
    container_format: str
    properties: Mapping[str, str]
    expected: Mapping[str, str]
    size: int


@runtime_checkable
class Describes(Protocol):
    """A Method whose source is an image with a record of its own."""

    def describe(self, secret: Mapping[str, str], *, check: Callable[[Target], None]) -> Description:
        """Ask the source, in a worker thread. Raises SourceRefused, and what `check` raises (see `Method.open`)."""
        ...


class DecisionLog(Protocol):
    """Where every decision is written before it takes effect."""

    def record(self, entry: Mapping[str, object]) -> None:
        """Append one decision (JSON values only). Raises Unavailable if it cannot be kept: then nothing happens."""
        ...


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


class Transaction(Protocol):
    """All reads and writes of the records, inside one database transaction.

    A status moves through `move_image` and `move_import` alone. Both are compare-and-swap: the loser of a race gets
    the refusal the table gives, and nothing has changed.
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

    async def abandoned_images(
        self, status: Status, before: datetime, limit: int = 100, after: Image | None = None
    ) -> Sequence[Image]:
        """Images in `status` whose `updated_at` is before a time, without an open import, oldest first.

        With `after`, the page behind that image, whatever has become of it.
        """
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
        """By BLOB_MOVES. Raises NotFound, Conflict."""
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
    async def doomed_blobs(self, limit: int = 100, after: Blob | None = None) -> Sequence[Blob]:
        """Oldest first. With `after`, the page behind that blob, whatever has become of it."""
        ...

    async def writing_blobs(self, not_by: str | None = None) -> Sequence[Blob]:
        """Intent rows: all, or those of other writers than `not_by`."""
        ...

    async def staged_without_image(self, limit: int = 100) -> Sequence[Blob]:
        """WRITING, STAGED or KEPT blobs whose image is deleted, and KEPT ones without a location."""
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

    async def begin_attempt(self, import_id: str, *, now: datetime) -> Import:
        """START: status processing and attempt + 1. Raises Cancelled if the import has ended."""
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

    async def add_decision(
        self, decision_id: str, image_id: str | None, at: datetime, revision: str, record: Mapping[str, Any]
    ) -> None: ...
    async def decision(self, decision_id: str) -> Mapping[str, Any] | None: ...

    async def keep_tree(self, revision: str, sources: Mapping[str, str]) -> None:
        """Keep a policy tree's files by revision; keeping it again is fine."""
        ...

    async def tree(self, revision: str) -> Mapping[str, str] | None: ...

    def native(self) -> Any:
        """The SQLAlchemy async connection, for an engine that enqueues in this transaction."""
        ...


class Catalog(Protocol):
    """The records."""

    def begin(self) -> AbstractAsyncContextManager[Transaction]:
        """A write transaction: commits on a clean exit, rolls back on any exception. Unavailable where it fails."""
        ...

    def read(self) -> AbstractAsyncContextManager[Transaction]:
        """A consistent snapshot, for reading only."""
        ...


class Jobs(Protocol):
    """Durable execution of imports: at least once, until the workflow returns.

    There is no cancel: an import whose row has ended finds its attempt fenced out and returns.
    """

    async def enqueue(self, tx: Transaction, import_id: str, project: str) -> None:
        """Put the import in the queue in the same transaction as `tx`: both commit, or neither."""
        ...

    async def holds(self, import_id: str) -> bool:
        """Will the engine still run it, or is it running? False once it never will."""
        ...
