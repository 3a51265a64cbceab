"""The parts of one running site, put together once by `gateway.app` and handed to every service function."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Protocol

from gateway.jobs.heartbeat import Lease
from gateway.model.errors import NotFound, Refusal
from gateway.model.image import Blob, Image
from gateway.model.receipt import Signature
from gateway.policy.facts import FactValue
from gateway.policy.rules import Policy
from gateway.ports import Catalog, Clock, DecisionLog, Jobs, Method, Store
from gateway.ports.converter import Converter
from gateway.ports.upstream import Upstream
from gateway.ports.webhooks import Webhooks
from gateway.service.ingest import Spare
from gateway.service.metrics import Metrics
from gateway.service.policies import PolicyTrees
from gateway.service.reloading import Watched
from gateway.service.settled import Settled
from gateway.service.shadow import Shadow
from gateway.service.spool import Spool
from gateway.stages.stage import Tools

AHEAD = 2
"""So many streams hash one block while the next is written. With more of them, each processor has enough to do."""


class Seal(Protocol):
    """Keeps what only the worker may read. `open` raises Unavailable for a seal made with another key."""

    def close(self, secret: Mapping[str, str]) -> bytes: ...
    def open(self, sealed: bytes) -> Mapping[str, str]: ...


class Signs(Protocol):
    """The site's keys for receipts. `public` are all of them as PEM, the one that signs first."""

    public: str

    def sign(self, statement: str) -> Signature | None:
        """None where the key is away."""
        ...


class NoKeys:
    """Of a site that signs nothing: its receipts wait."""

    public = ""

    def sign(self, statement: str) -> None:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The site's own numbers. Times as timedelta, sizes in bytes.

    `abandoned_after` is for records that stay queued, `staged_after` for staged bytes nobody imports. `members` is how
    many projects an image may be shared with, `properties` how many it may have. The formats are those a record may
    have here. `approval_after` is how long an import waits for a person where its policy does not say;
    `approve_own` lets people decide about their own. `upload_expires` is how long a resumable upload waits for its
    next byte, `upload_part` the size its bytes are kept in: what a crash can lose of it.
    """

    abandoned_after: timedelta = timedelta(hours=24)
    staged_after: timedelta = timedelta(hours=24)
    reaper_interval: timedelta = timedelta(minutes=1)
    progress_interval: timedelta = timedelta(seconds=1)
    attempts: int = 3
    retry_delay: timedelta = timedelta(seconds=2)
    image_hash: str = "sha512"
    md5: bool = True
    verify_downloads: bool = False
    members: int = 128
    properties: int = 128
    approval_after: timedelta = timedelta(days=7)
    approve_own: bool = False
    disk_formats: tuple[str, ...] = ()
    container_formats: tuple[str, ...] = ()
    upload_expires: timedelta = timedelta(hours=24)
    upload_part: int = 32 << 20
    drain: timedelta = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Granted:
    """A decision that let bytes move: what was decided about, and under which tree."""

    policy: Policy
    method: str
    values: Mapping[str, FactValue]
    image_id: str


async def _nothing(refusal: Refusal) -> None:
    """The reaper ends what nobody else does."""


@dataclass(slots=True)
class Progress:
    """Bytes that have come in; read on the loop while a thread counts. `stop` is raised from the stream once set.

    `granted` are the decisions the bytes move by. `give_up` ends what they are for without waiting for the stream.
    """

    done: int = 0
    total: int | None = None
    stop: Refusal | None = None
    granted: list[Granted] = field(default_factory=list)
    give_up: Callable[[Refusal], Awaitable[None]] = _nothing

    def check(self) -> None:
        """Raises what it was told to stop with."""
        if self.stop is not None:
            raise self.stop

    def tell(self, refusal: Refusal) -> None:
        """Make the delivery fail at its next block."""
        self.stop = self.stop or refusal


@dataclass(slots=True)
class Turn:
    """A request that sends to a resumable upload. Asked to `stop`, it keeps what has come, and soon has `ended`."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True, kw_only=True)
class Site:
    """Everything a service function may need. `writer` names this process, anew at each start.

    While its `lease` is held, nobody thinks it dead. `writing` holds the blobs it is writing now, by id: the reaper
    keeps its hands off them and off their images, and the end of the process tells them to fail; `landed` those whose
    bytes are in their store, until their row has moved on. `turns` are the requests that send to resumable uploads, by
    upload. `spare` is the memory that streams share. `busy` are the images that something was done to after so many
    writes, `quiet` and `settled` some of the others. `draining` takes no new work; `address` is where it listens, once
    it does. Images are read from the store with the greatest of `weights`. `hang_up` ends every fetch with a refusal,
    for good. `trees` are the watched policy trees: `live`, and `shadow` where there is one. `tools` are what its stages
    ask for; `tool_checks`, by stage, say which tool that is, or raise Unavailable, in worker threads. `converter` opens
    and converts disks, with files in the `spool`; None where this machine cannot.
    """

    catalog: Catalog
    stores: Mapping[str, Store]
    default_store: str
    weights: Mapping[str, int] = field(default_factory=dict)
    methods: Mapping[str, Method]
    stages: frozenset[str]
    tools: Tools = field(default_factory=Tools)
    webhooks: Webhooks | None = None
    tool_checks: Mapping[str, Callable[[], str]] = field(default_factory=dict)
    converter: Converter | None = None
    spool: Spool = field(default_factory=Spool.nowhere)
    upstream: Upstream | None = None
    policy: PolicyTrees
    decisions: DecisionLog
    jobs: Jobs
    seal: Seal
    receipts: Signs = field(default_factory=NoKeys)
    clock: Clock
    limits: Limits
    writer: str
    new_id: Callable[[], str]
    lease: Lease = field(default_factory=Lease)
    writing: dict[str, Progress] = field(default_factory=dict)
    landed: dict[str, Blob] = field(default_factory=dict)
    spare: Spare = field(default_factory=Spare)
    turns: dict[str, Turn] = field(default_factory=dict)
    busy: tuple[int, Mapping[str, Image]] | None = None
    quiet: tuple[int, set[str]] | None = None
    settled: Settled = field(default_factory=Settled)
    draining: bool = False
    address: str = ""
    kick_reaper: Callable[[], None] = lambda: None
    hang_up: Callable[[Refusal], None] = lambda refusal: None
    metrics: Metrics = field(default_factory=Metrics)
    trees: dict[str, Watched] = field(default_factory=dict)
    shadow: Shadow | None = None

    def store(self, name: str) -> Store:
        try:
            return self.stores[name]
        except KeyError:
            raise NotFound(f"Store {name} is not known here.", code="unknown-store") from None

    @property
    def taking_stores(self) -> tuple[str, ...]:
        """The stores that take bytes."""
        return tuple(name for name, store in self.stores.items() if not store.read_only)

    @property
    def stream_tools(self) -> Tools:
        """For one more stream. Those that come when enough are under way walk in step, which takes less memory."""
        return self.tools if len(self.writing) < AHEAD else replace(self.tools, lasting=1)

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
        self.landed.pop(blob_id, None)

    def halt(self, refusal: Refusal, blob_ids: Sequence[str] | None = None) -> None:
        """Tell these deliveries to fail at their next block; all of them without ids."""
        for blob_id in list(self.writing) if blob_ids is None else blob_ids:
            if blob_id in self.writing:
                self.writing[blob_id].tell(refusal)

    @property
    def hashes(self) -> Sequence[str]:
        return ("md5", self.limits.image_hash) if self.limits.md5 else (self.limits.image_hash,)
