"""The compiled form of a policy tree: what the compiler makes and `decide` reads. Immutable.

Nothing here knows YAML; every object keeps its place for explain and for messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from gateway.model.decision import StageCall, Within
from gateway.model.stop import Stop
from gateway.policy.expression import Program


class Verb(StrEnum):
    ALLOW = "allow"
    LIMIT = "limit"
    REQUIRE = "require"
    DENY = "deny"


class Mode(StrEnum):
    """What a matching rule does: count, tell the caller only, or appear in the log only."""

    ENFORCE = "enforce"
    WARN = "warn"
    AUDIT = "audit"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was written; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """`for` and `scope`: keys AND, values OR; None means the key was not written."""

    domains: frozenset[str] | None = None
    projects: frozenset[str] | None = None
    tags: frozenset[str] | None = None
    roles: frozenset[str] | None = None


EVERYONE = Selector()


@dataclass(frozen=True, slots=True)
class Condition:
    """One `when` item. `facts` are the VOCABULARY names it reads."""

    source: str
    program: Program
    facts: frozenset[str]
    place: Place


@dataclass(frozen=True, slots=True)
class BreakGlass:
    """An `allow` that grants only while it is opened for the project: by whom, and for how long at most."""

    roles: frozenset[str]
    longest: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. `methods` is already expanded (`all` = every registered method). `message` may hold `{fact}`.

    `bounds` are the scopes of the delegates that the rule's file is under: each of them holds besides `scope`.
    """

    policy: str
    id: str
    verb: Verb
    methods: frozenset[str]
    scope: Selector = EVERYONE
    bounds: tuple[Selector, ...] = ()
    selector: Selector = EVERYONE
    when: tuple[Condition, ...] = ()
    within: Within = field(default_factory=Within)
    stages: tuple[StageCall, ...] = ()
    message: str | None = None
    mode: Mode = Mode.ENFORCE
    break_glass: BreakGlass | None = None
    active_from: datetime | None = None
    active_until: datetime | None = None
    place: Place
    name: str = field(init=False)

    def __post_init__(self) -> None:
        # Joined once: every decision names every rule it touches.
        object.__setattr__(self, "name", f"{self.policy}/{self.id}")

    @property
    def audience(self) -> tuple[Selector, ...]:
        """All of them have to select a caller."""
        return (self.scope, *self.bounds, self.selector)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRule(Rule):
    """The deny that a stop is; see stops. No file has it."""

    stop: Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemption:
    """Loosens exactly what it names of one rule: limits in `within`, or stages in `without`. Always ends."""

    policy: str
    id: str
    rule: str
    selector: Selector
    within: Within = field(default_factory=Within)
    without: tuple[str, ...] = ()
    reason: str
    approved_by: str
    until: datetime
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A whole tree, compiled: `rules` in the order of their names, so that the order of files changes nothing.

    `index` answers which rules could touch a caller and a method; see compiler. `facts` are all that any rule reads,
    `break_glass` those in force that have to be opened: what nobody asks for need not be learned.
    `stops` are laid over the tree: they are no part of its revision.
    """

    revision: str
    rules: tuple[Rule, ...]
    exemptions: Mapping[str, tuple[Exemption, ...]] = field(default_factory=dict)
    methods: tuple[str, ...]
    index: Index
    facts: frozenset[str] = frozenset()
    break_glass: tuple[Rule, ...] = ()
    stops: tuple[StopRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Index:
    """Rules by method and by the one selector value that is looked up; filled by the compiler, read by `decide`.

    For a method: `always[method]` are the rules whose selectors name no project, tag, domain or role;
    `by_project|by_tag|by_domain|by_role[method][value]` the rules filed under the narrowest key they have.
    Every rule is filed in exactly one of the five, under each of its values; positions index `Policy.rules`.
    """

    always: Mapping[str, tuple[int, ...]]
    by_project: Mapping[str, Mapping[str, tuple[int, ...]]]
    by_tag: Mapping[str, Mapping[str, tuple[int, ...]]]
    by_domain: Mapping[str, Mapping[str, tuple[int, ...]]]
    by_role: Mapping[str, Mapping[str, tuple[int, ...]]]
