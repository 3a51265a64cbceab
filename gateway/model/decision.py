"""What a policy decides about one import.

A `Decision` is a value: it carries its action, its reasons, the plan it grants and the revision of the policy tree
that made it. Discovery is made of the same values, decided with fewer facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.model.stop import Stop
from gateway.model.usage import Quota


class Action(StrEnum):
    """`OPEN` means: nothing refuses it so far, and what is still unknown (host, bytes...) will decide."""

    ALLOW = "allow"
    DENY = "deny"
    OPEN = "open"


class ReasonCode(StrEnum):
    """Why an import is refused, or why a method is withheld. Stable, shown to callers."""

    NOT_GRANTED = "not-granted"
    OVER_LIMIT = "over-limit"
    DENIED = "denied"
    POLICY_CONFLICT = "policy-conflict"
    STAGE_UNAVAILABLE = "stage-unavailable"
    METHOD_UNAVAILABLE = "method-unavailable"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One reason, said so that a tenant can act on it. `rule` is `policy/id`: one that is for this very caller."""

    code: ReasonCode
    message: str
    remedy: str = ""
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class StageCall:
    """One stage a plan demands, with its options. Equal calls are the same work."""

    name: str
    options: tuple[tuple[str, str | int | bool], ...] = ()

    def as_mapping(self) -> dict[str, str | int | bool]:
        return dict(self.options)


class _Hashed:
    """A place for a hash: every decision looks limits up by value many times, and a dozen fields add up."""

    __slots__ = ("_hash",)
    _hash: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Within(_Hashed):
    """One set of limits; None means unlimited. Sizes in bytes. All lists are sorted and lower case.

    The last three bound what a project has in all, not one import: `Quota` is their form for a plan. `credentials` ()
    says that an import may show none of the operator's: it is what a grant comes to that names none.
    """

    max_size: int | None = None
    max_virtual_size: int | None = None
    disk_formats: tuple[str, ...] | None = None
    container_formats: tuple[str, ...] | None = None
    hosts: tuple[str, ...] | None = None
    schemes: tuple[str, ...] | None = None
    ports: tuple[int, ...] | None = None
    stores: tuple[str, ...] | None = None
    regions: tuple[str, ...] | None = None
    credentials: tuple[str, ...] | None = None
    max_images: int | None = None
    max_total_size: int | None = None
    max_active_imports: int | None = None

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:
            found = hash(tuple([getattr(self, name) for name in self.__slots__]))
            object.__setattr__(self, "_hash", found)
            return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a granted import has to do: its stages in running order, the byte cap of the stream, and the quotas of
    which the project has to keep one (each belongs to one alternative of the decision). No quotas: nothing to keep.
    """

    stages: tuple[StageCall, ...] = ()
    max_size: int | None = None
    quotas: tuple[Quota, ...] = ()


@dataclass(frozen=True, slots=True)
class Lent:
    """The break-glass opening that a decision rests on: the rule (`policy/id`), the opening's id, who opened it, and
    until when (RFC 3339). What a test or a candidate tree does not say is empty.
    """

    rule: str
    id: str = ""
    by: str = ""
    until: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer of `gateway.policy.decide.decide`.

    `within` are the alternatives one of which must cover the import (each already met with every limit);
    `refused_when` and `warnings` are the messages of open denies and of matching rules in mode `warn`;
    `sometimes` are stages that open requires may add. `outcomes` maps `policy/id` to `yes|no|open|error` for every
    rule that was touched, for the log and for explain. `stops` are those among them that were laid over the tree.
    """

    method: str
    action: Action
    revision: str
    reasons: tuple[Reason, ...] = ()
    plan: Plan = field(default_factory=Plan)
    within: tuple[Within, ...] = ()
    sometimes: tuple[tuple[StageCall, str], ...] = ()
    refused_when: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    outcomes: Mapping[str, str] = field(default_factory=dict)
    lent: Lent | None = None
    openable: tuple[str, ...] = ()
    stops: tuple[Stop, ...] = ()
