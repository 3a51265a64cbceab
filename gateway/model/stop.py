"""The emergency stop: a deny that an administrator lays over whatever policy is in force, its files untouched."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class StopKind(StrEnum):
    """What a stop names: an import method, the hosts sources are fetched from, or a project."""

    METHOD = "method"
    HOST = "host"
    PROJECT = "project"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """One stop. `value` is a method, a host (a name, or `*.` and a name: every host below it) or a project's id.

    `message` is told to callers it refuses, `reason` to administrators only. It is in force until it is lifted;
    its record stays.
    """

    id: str
    kind: StopKind
    value: str
    message: str
    reason: str
    added_by: str
    added_at: datetime
    lifted_by: str | None = None
    lifted_at: datetime | None = None
    lifted_reason: str | None = None
