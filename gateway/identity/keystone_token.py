"""What Keystone says about a token and a project (Identity API v3), read into values.

Every reader raises ValueError, TypeError, KeyError or AttributeError for an answer of another shape.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

GLANCE_ROLES = frozenset({"admin", "member", "reader", "service"})
LONGEST_TOKEN = 8 << 10

_SENDABLE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRule:
    """One kind of call an application credential opens; `path` is a pattern."""

    service: str
    method: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    id: str
    name: str
    domain_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """`project` None: the token is for a domain, for the system or for nothing. `access_rules` None: no restriction."""

    user_id: str
    user_name: str
    roles: tuple[str, ...]
    project: Project | None
    expires_at: datetime
    access_rules: tuple[AccessRule, ...] | None


def is_sendable(token: str) -> bool:
    """Whether a token may go into a header: visible ASCII, no longer than any token format is."""
    return len(token) <= LONGEST_TOKEN and _SENDABLE.fullmatch(token) is not None


def read_token(answer: Mapping[str, Any]) -> Token:
    """The body of `GET /v3/auth/tokens` and of `POST /v3/auth/tokens`."""
    token = answer["token"]
    rules = token.get("application_credential", {}).get("access_rules")
    return Token(
        user_id=_text(token["user"]["id"]),
        user_name=_text(token["user"]["name"]),
        roles=tuple(_role(role["name"]) for role in token.get("roles", ())),
        project=_project(token["project"]) if "project" in token else None,
        expires_at=_time(token["expires_at"]),
        access_rules=None if rules is None else tuple(_rule(rule) for rule in rules),
    )


def read_tags(answer: Mapping[str, Any]) -> tuple[str, ...]:
    """The tags in the body of `GET /v3/projects/{id}`."""
    return tuple(_text(tag) for tag in answer["project"]["tags"])


def _project(project: Mapping[str, Any]) -> Project:
    return Project(id=_text(project["id"]), name=_text(project["name"]), domain_id=_text(project["domain"]["id"]))


def _rule(rule: Mapping[str, Any]) -> AccessRule:
    return AccessRule(service=_text(rule["service"]), method=_text(rule["method"]), path=_text(rule["path"]))


def _role(name: Any) -> str:
    """Glance compares role names without regard to case; other names are the policy's, as they are written."""
    lower = _text(name).lower()
    return lower if lower in GLANCE_ROLES else _text(name)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("not a text")
    value.encode()  # half of a surrogate pair is a UnicodeEncodeError, a ValueError
    return value


def _time(value: Any) -> datetime:
    time = datetime.fromisoformat(_text(value))
    if time.tzinfo is None:
        raise ValueError("a time without a zone")
    return time
