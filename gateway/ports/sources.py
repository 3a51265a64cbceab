"""The bytes' side of the ports: where they come from and where they go. Synchronous, for worker threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from gateway.model.image import Move, Status
from gateway.stages.stage import Block


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

    def path(self, key: str) -> Path | None:
        """Where a blob is as a plain file of this machine, which nobody may write to; None for a store without files.

        Raises NotFound.
        """
        ...

    def close(self) -> None:
        """Let go of connections that are kept for later calls."""
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
    """An open source. `total` in bytes, None where the source does not say.

    `resumed` is how often it has gone on after its connection broke; a reader of its blocks notices nothing.
    """

    total: int | None

    @property
    def resumed(self) -> int: ...

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
    are the digests its bytes have to have, by hashlib name, at least one of them; `size` in bytes. Formats are None
    where it knows of none: then the image's record says them.
    """

    expected: Mapping[str, str]
    size: int
    disk_format: str | None = None
    container_format: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Describes(Protocol):
    """A Method whose source is an image with a record of its own."""

    def describe(self, secret: Mapping[str, str], *, check: Callable[[Target], None]) -> Description:
        """Ask the source, in a worker thread. Raises SourceRefused, and what `check` raises (see `Method.open`)."""
        ...
