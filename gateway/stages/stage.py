"""What every stage is made of: the blocks it sees, what it is told beforehand, and how it refuses.

Rule 1: a stage sees blocks of exactly BLOCK_SIZE (only the last is shorter), so no verdict hangs on how they were sent.
Rule 2: a stage never keeps a block; what it needs later it copies.
Rule 3: a refusal is raised as soon as it is certain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gateway.model.decision import StageCall
from gateway.model.errors import ContentRefused, Unavailable
from gateway.model.verdict import Finding
from gateway.stages.evidence import Evidence, Keys

Block = bytes | bytearray | memoryview
"""A run of image bytes, which stays as it is until LASTING more were asked for: then its buffer is used again."""

BLOCK_SIZE = 1 << 20
LASTING = 3
"""So many blocks of a stream are hashed at the same time at most, one hash ahead of the other. A pipeline that is told
to walk in step is done with each block before it asks for the next."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What the image record says its bytes are; None means it does not say yet, and nothing is held against it."""

    disk_format: str | None = None
    container_format: str | None = None


Wait = Callable[[], None]
"""Returns once the work it stands for is done; raises what that raised."""


Lane = Callable[[Callable[[], None]], Wait]
"""Starts a call that runs after those started before it."""


def at_once() -> Lane:
    """A lane that has no thread: whoever starts a call does the work."""

    def start(call: Callable[[], None]) -> Wait:
        call()
        return lambda: None

    return start


def no_clock() -> float:
    return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What a scanner says of itself: its name with its version, its signatures' version and their age in seconds.

    The last two are None where it does not say.
    """

    name: str
    database: str | None = None
    database_age: float | None = None

    def same_as(self, other: Engine) -> bool:
        """Whatever their age."""
        return (self.name, self.database) == (other.name, other.database)


class Scan(Protocol):
    """One stream in front of a scanner. What `feed` and `finish` raise says that it could not judge, never what it
    found: Unavailable where the scanner fails, ContentRefused where it did not look at all of the bytes.
    """

    engine: Engine

    def feed(self, block: Block) -> str | None:
        """Hand a block over; the name of what was found where that is known already. Called in a lane."""
        ...

    def finish(self) -> str | None:
        """The last word on all bytes: the name of what was found, None where nothing was."""
        ...

    def release(self) -> None:
        """Let go of it, at any time and more than once; a `feed` that is waiting ends."""
        ...


class Scanner(Protocol):
    def open(self) -> Scan:
        """Raises Unavailable, in bounded time, where the scanner is away or cannot be relied on."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a pipeline is handed in, because it owns neither threads nor a clock.

    `lane` makes a lane, and lanes run beside each other; `waiting_lane` makes one for calls that wait for somebody
    else. `tick` is monotonic seconds. A tool that is None is not set up here. So many blocks are `lasting` while they
    are hashed, which takes memory.
    """

    lane: Callable[[], Lane] = at_once
    waiting_lane: Callable[[], Lane] = at_once
    lasting: int = LASTING
    tick: Callable[[], float] = no_clock
    scanner: Scanner | None = None
    keys: Keys | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """What a stage is told before the first byte. `stages` are the names of all stages of this pipeline."""

    declared: Declared = field(default_factory=Declared)
    max_size: int | None = None
    expected: Mapping[str, str] = field(default_factory=dict)
    evidence: Evidence = field(default_factory=Evidence)
    stages: frozenset[str] = frozenset()
    tools: Tools = field(default_factory=Tools)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is known when the last block went by. `hashes` are of the stored bytes, `source_hashes` of those sent."""

    size: int
    source_size: int
    hashes: Mapping[str, str]
    source_hashes: Mapping[str, str]


class Stage:
    """One stage over one stream: `feed` each block, `finish` once, then `close`.

    `feed` and `finish` yield the blocks that go on; a check yields what it was fed. All three raise ContentRefused or
    OverLimit. `findings` are what the stage noticed without refusing, `algorithms` the digests of the stored bytes
    that it asks for. `changes` says, from the first block on, whether other bytes go on than came.
    """

    options: frozenset[str] = frozenset()
    algorithms: tuple[str, ...] = ()
    changes: bool = False
    disk_format: str | None = None
    virtual_size: int | None = None

    @classmethod
    def ready(cls, tools: Tools) -> bool:
        """Whether what it asks for outside is set up here."""
        return True

    def __init__(self, call: StageCall, brief: Brief) -> None:
        """Raises Unavailable for an option the stage does not have: a demand is refused rather than ignored."""
        if unknown := sorted(set(call.as_mapping()) - self.options):
            raise Unavailable(
                f"The policy asks stage '{call.name}' for '{unknown[0]}', which this build cannot do.",
                remedy="Ask the operator to take the option out of the policy, or to run a build that has it.",
                code="stage-unavailable",
            )
        self.call = call
        self.brief = brief
        self.findings: list[Finding] = []

    def feed(self, block: Block) -> Iterator[Block]:
        yield block

    def finish(self) -> Iterator[Block]:
        yield from ()

    def close(self, seen: Seen) -> None:
        """The last word, when all bytes went by and all digests are known."""

    def settle(self) -> None:
        """Have no block in use any more."""

    def release(self) -> None:
        """Let go of what is held outside, however the stream ended. Called last, from any thread; raises nothing."""

    def note(self, code: str, message: str) -> None:
        self.findings.append(Finding(code=code, message=message, fatal=False))


def refused(code: str, message: str, remedy: str) -> ContentRefused:
    """The refusal `code`, to be raised by the caller."""
    return ContentRefused(message, remedy=remedy, code=code)
