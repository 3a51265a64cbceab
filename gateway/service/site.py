"""The parts of one running site, put together once by `gateway.app` and handed to every service function."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from gateway.model.errors import NotFound, Refusal
from gateway.policy.rules import Policy
from gateway.ports import Catalog, Clock, DecisionLog, Jobs, Method, Store


class Seal(Protocol):
    """Keeps what only the worker may read. `open` raises Unavailable for a seal made with another key."""

    def close(self, secret: Mapping[str, str]) -> bytes: ...
    def open(self, sealed: bytes) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The site's own numbers. Times as timedelta, sizes in bytes.

    `abandoned_after` is for records that stay queued, `staged_after` for staged bytes nobody imports. `members` is how
    many projects an image may be shared with. The formats are those a record may have here.
    """

    abandoned_after: timedelta = timedelta(hours=24)
    staged_after: timedelta = timedelta(hours=24)
    reaper_interval: timedelta = timedelta(minutes=1)
    progress_interval: timedelta = timedelta(seconds=1)
    attempts: int = 3
    retry_delay: timedelta = timedelta(seconds=2)
    image_hash: str = "sha512"
    md5: bool = True
    members: int = 128
    disk_formats: tuple[str, ...] = ()
    container_formats: tuple[str, ...] = ()
    ring_blocks: int = 8
    drain: timedelta = timedelta(seconds=10)


@dataclass(slots=True)
class PolicyTrees:
    """The tree in force, and earlier ones by revision: an import keeps the revision it was granted under."""

    current: Policy
    compile: Callable[[Mapping[str, str]], Policy]
    _earlier: dict[str, Policy] = field(default_factory=dict)

    async def at(self, revision: str, sources: Callable[[str], Awaitable[Mapping[str, str] | None]]) -> Policy:
        """The tree with that revision, or the one in force where nobody kept it."""
        if revision == self.current.revision:
            return self.current
        if revision not in self._earlier and (kept := await sources(revision)) is not None:
            self._earlier[revision] = self.compile(kept)
        return self._earlier.get(revision, self.current)


@dataclass(slots=True)
class Progress:
    """Bytes that have come in; read on the loop while a thread counts. `stop` is raised from the stream once set."""

    done: int = 0
    total: int | None = None
    stop: Refusal | None = None

    def tell(self, refusal: Refusal) -> None:
        """Make the delivery fail at its next block."""
        self.stop = self.stop or refusal


@dataclass(slots=True, kw_only=True)
class Site:
    """Everything a service function may need. `writer` names this process, anew at each start.

    `writing` holds the blobs this process is writing now, by id: the reaper keeps its hands off them and off their
    images, and the end of the process tells them to fail; their imports go on after the restart. Images are read
    from the store with the greatest of `weights`.
    """

    catalog: Catalog
    stores: Mapping[str, Store]
    default_store: str
    weights: Mapping[str, int] = field(default_factory=dict)
    methods: Mapping[str, Method]
    stages: frozenset[str]
    policy: PolicyTrees
    decisions: DecisionLog
    jobs: Jobs
    seal: Seal
    clock: Clock
    limits: Limits
    writer: str
    new_id: Callable[[], str]
    writing: dict[str, Progress] = field(default_factory=dict)
    kick_reaper: Callable[[], None] = lambda: None

    def store(self, name: str) -> Store:
        try:
            return self.stores[name]
        except KeyError:
            raise NotFound(f"Store {name} is not known here.", code="unknown-store") from None

    @property
    def taking_stores(self) -> tuple[str, ...]:
        """The stores that take bytes."""
        return tuple(name for name, store in self.stores.items() if not store.read_only)

    @contextmanager
    def writes(self, blob_id: str, progress: Progress) -> Iterator[None]:
        """From before a blob's intent row until its row has moved on. What fails in between is the reaper's."""
        self.writing[blob_id] = progress
        try:
            yield
        except BaseException:  # goes on to the caller; nobody writes this blob any more
            del self.writing[blob_id]
            self.kick_reaper()
            raise
        del self.writing[blob_id]

    def halt(self, refusal: Refusal, blob_ids: Sequence[str] | None = None) -> None:
        """Tell these deliveries to fail at their next block; all of them without ids."""
        for blob_id in list(self.writing) if blob_ids is None else blob_ids:
            if blob_id in self.writing:
                self.writing[blob_id].tell(refusal)

    @property
    def hashes(self) -> Sequence[str]:
        return ("md5", self.limits.image_hash) if self.limits.md5 else (self.limits.image_hash,)
