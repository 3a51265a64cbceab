"""Single values of query strings, each read strictly: what is wrong is refused by name."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from gateway.model.errors import BadRequest

DEFAULT_LIMIT = 25
MAX_LIMIT = 1000


def limit(value: str) -> int:
    """Entries of a page: what was asked for, at most MAX_LIMIT."""
    return min(count("limit", value), MAX_LIMIT)


def count(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 18):
        raise bad_query(name, f"'{value[:40]}' is not a whole number of 0 or more")
    return int(value)


def flag(name: str, value: str) -> bool:
    return one_of(name, value.lower(), ("true", "false")) == "true"


def moment(name: str, value: str) -> datetime:
    """An ISO 8601 time, UTC where it does not say."""
    try:
        # A plus sign that was not percent-encoded has become a space.
        at = datetime.fromisoformat(value.replace(" ", "+") if "T" in value else value)
        return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise bad_query(name, f"'{value[:40]}' is not an ISO 8601 time") from None


def identifier(name: str, value: str) -> str:
    """The id of an image or a task."""
    try:
        uuid.UUID(value)
    except ValueError:
        raise bad_query(name, f"'{value[:40]}' is not an id") from None
    return value


def descending(way: str) -> bool:
    return one_of("sort_dir", way, ("asc", "desc")) == "desc"


def one_of(name: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise bad_query(name, f"'{value[:40]}' is not one of {', '.join(allowed)}")
    return value


def bad_query(name: str, why: str) -> BadRequest:
    return BadRequest(
        f"The query parameter '{name}' cannot be used: {why}.", remedy="Correct it or leave it out.", code="bad-query"
    )
