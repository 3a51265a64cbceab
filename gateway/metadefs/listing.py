"""Query strings of metadata definitions. Parameters nobody knows are left alone, as the Images API does here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.metadefs.records import NamespaceFilter, Page
from gateway.model.errors import BadRequest

DEFAULT_LIMIT = 25
MAX_LIMIT = 1000
NAMESPACE_SORT_KEYS = ("namespace", "display_name", "visibility", "protected", "owner", "created_at", "updated_at")
DEFINITION_SORT_KEYS = ("name", "created_at", "updated_at")


def read_filter(query: Mapping[str, str]) -> NamespaceFilter:
    """`visibility`, `resource_types` (joined by commas; any of them) and `property`. Raises BadRequest."""
    types = _text(query, "resource_types")
    return NamespaceFilter(
        visibility=_one_of(query, "visibility", ("public", "private")),
        resource_types=tuple(types.split(",")) if types is not None else (),
        defines=_text(query, "property"),
    )


def read_page(query: Mapping[str, str], sort_keys: Sequence[str], limit: int | None = None) -> Page:
    """`limit`, `marker` (a name), `sort_key` and `sort_dir`, newest first without them. Raises BadRequest."""
    return Page(
        sort_key=_one_of(query, "sort_key", sort_keys) or "created_at",
        descending=_one_of(query, "sort_dir", ("asc", "desc")) != "asc",
        marker=_text(query, "marker"),
        limit=_limit(query, limit),
    )


def _limit(query: Mapping[str, str], default: int | None) -> int | None:
    sent = query.get("limit")
    if sent is None:
        return default
    if not (sent.isascii() and sent.isdigit() and len(sent) <= 18):
        raise _bad("limit", f"'{sent[:40]}' is not a whole number of 0 or more")
    return min(int(sent), MAX_LIMIT)


def _one_of(query: Mapping[str, str], name: str, allowed: Sequence[str]) -> str | None:
    sent = query.get(name)
    if sent is not None and sent not in allowed:
        raise _bad(name, f"'{sent[:40]}' is not one of {', '.join(allowed)}")
    return sent


def _text(query: Mapping[str, str], name: str) -> str | None:
    """A NUL is text to Python, and an error to a database."""
    sent = query.get(name)
    if sent is not None and "\0" in sent:
        raise _bad(name, "it holds a NUL character")
    return sent


def _bad(name: str, why: str) -> BadRequest:
    return BadRequest(
        f"The query parameter '{name}' cannot be used: {why}.", remedy="Correct it or leave it out.", code="bad-query"
    )
