"""The ports of the house. Their docstrings are the contracts; a conformance suite holds each adapter to them.

Catalog, Identity and Jobs are asynchronous (they wait for a database or a server); Store, Method and DecisionLog are
synchronous and run in worker threads, because bytes move in threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from gateway.model.caller import Caller
from gateway.model.image import Blob, BlobState, Image, Move, Status
from gateway.model.imports import Import, ImportMove

Block = bytes | bytearray | memoryview
"""A run of image bytes. The receiver must not keep it after returning: the buffer is used again."""

BLOCK_SIZE = 1 << 20


class Clock(Protocol):
    """Time as a value. `now` is aware UTC; `monotonic` seconds only ever grow."""

    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...


class Identity(Protocol):
    """Turns a request's headers into a Caller."""

    async def identify(self, headers: Mapping[str, str]) -> Caller:
        """`headers` has lower-case names. Raises NotAuthenticated (401) or Unavailable (503), never anything else."""
        ...

    def challenge(self) -> str:
        """The WWW-Authenticate value a 401 carries."""
        ...


class Store(Protocol):
    """A place for blobs, addressed by final keys.

    Every method raises only refusals of `gateway.model.errors`: NotFound, Conflict (the key exists), Unavailable
    (the store is away, full or broken), or what the iterator of `put` raised, with its own type.
    """

    name: str

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
    `secret` is what only the worker needs (the whole URL) and is kept sealed.
    """

    facts: Mapping[str, Any]
    shown: Mapping[str, str]
    secret: Mapping[str, str]


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
    visibility or owned), and everything as admin.
    """

    caller: Caller
    filters: tuple[Filter, ...] = ()
    tags: tuple[str, ...] = ()
    sort: tuple[tuple[str, bool], ...] = (("created_at", True), ("id", True))
    marker: str | None = None
    limit: int = 25
    hidden: bool = False


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

    async def abandoned_images(self, status: Status, before: datetime, limit: int = 100) -> Sequence[Image]:
        """Images in `status` whose `updated_at` is before a time, without an open import, oldest first."""
        ...

    async def add_blob(self, blob: Blob) -> None: ...
    async def blob(self, blob_id: str) -> Blob | None: ...
    async def move_blob(self, blob_id: str, state: BlobState, values: Mapping[str, Any] | None = None) -> Blob:
        """By BLOB_MOVES. Raises NotFound, Conflict."""
        ...

    async def drop_blob(self, blob_id: str) -> None:
        """Forget a DOOMED blob whose bytes are gone."""
        ...

    async def blobs(self, image_id: str) -> Sequence[Blob]: ...
    async def doomed_blobs(self, limit: int = 100) -> Sequence[Blob]: ...
    async def writing_blobs(self, not_by: str) -> Sequence[Blob]:
        """Intent rows of other writers than `not_by`."""
        ...

    async def staged_without_image(self, limit: int = 100) -> Sequence[Blob]:
        """WRITING, STAGED or KEPT blobs whose image is deleted, and KEPT ones without a location."""
        ...

    async def keys(self, store: str) -> Sequence[str]:
        """Keys of all blob rows of a store, whatever their state."""
        ...

    async def add_location(self, image_id: str, blob_id: str, *, now: datetime) -> None: ...
    async def locations(self, image_id: str) -> Sequence[Blob]:
        """The blobs an image may be read from, oldest first."""
        ...

    async def drop_locations(self, image_id: str) -> None: ...

    async def add_import(self, work: Import) -> None: ...
    async def import_(self, import_id: str) -> Import | None: ...
    async def imports(self, image_id: str) -> Sequence[Import]:
        """All imports of an image, newest first."""
        ...

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
