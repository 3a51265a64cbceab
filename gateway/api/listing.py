"""The query string of `GET /v2/images` as a query for the catalog ("List images" in the Images API reference)."""

from __future__ import annotations

import csv
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from gateway.api.image_schema import STATUSES, VISIBILITIES
from gateway.model.caller import Caller
from gateway.model.errors import BadRequest
from gateway.ports import Filter, ImageQuery

DEFAULT_LIMIT = 25
MAX_LIMIT = 1000
SORT_KEYS = ("name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at")
MEMBER_STATUSES = ("pending", "accepted", "rejected", "all")

_REPEATED = frozenset({"tag", "sort_key", "sort_dir"})
_PAGING = _REPEATED | {"limit", "marker", "sort", "os_hidden", "member_status"}
_LISTS = ("id", "name", "status", "container_format", "disk_format", "owner")
_TIMES = ("created_at", "updated_at")
_COUNTS = ("size", "virtual_size", "min_ram", "min_disk")
_COMPARISONS = ("eq", "neq", "gt", "gte", "lt", "lte")

Values = tuple[str | int | bool | datetime, ...]


def parse_listing(items: Iterable[tuple[str, str]], caller: Caller) -> ImageQuery:
    """`items` are the query's decoded pairs, in order. Raises BadRequest, by name, for every bad value."""
    sent = _collected(items)
    single = {name: values[0] for name, values in sent.items() if name not in _REPEATED}
    _one_of("member_status", single.get("member_status", "accepted"), MEMBER_STATUSES)
    return ImageQuery(
        caller=caller,
        filters=tuple(_filter(name, value) for name, value in single.items() if name not in _PAGING),
        tags=tuple(_tags(sent.get("tag", []))),
        sort=_sort(sent),
        marker=_uuid("marker", single["marker"]) if "marker" in single else None,
        limit=min(_count("limit", single.get("limit", str(DEFAULT_LIMIT))), MAX_LIMIT),
        hidden=_flag("os_hidden", single.get("os_hidden", "false")),
    )


def _collected(items: Iterable[tuple[str, str]]) -> Mapping[str, list[str]]:
    sent: dict[str, list[str]] = defaultdict(list)
    for name, value in items:
        if not 0 < len(name) <= 255 or "\0" in name + value or "\ufffd" in name:
            raise _bad(name[:60], "no image can have it")
        if name in sent and name not in _REPEATED:
            raise _bad(name, "it is given twice")
        sent[name].append(value)
    return sent


def _filter(name: str, value: str) -> Filter:
    read = _READERS.get(name)
    if read is not None:
        return read(name, value)
    return Filter(field=name, operator="eq", values=(value,))


def _listed(name: str, value: str) -> Filter:
    """`in:a,"b,c"`, `neq:a`, `eq:a`, or the value itself (which may hold colons)."""
    operator, colon, rest = value.partition(":")
    if not colon or operator not in ("in", "eq", "neq"):
        return Filter(field=name, operator="eq", values=(value,))
    values = _quoted(name, rest)
    if operator != "in" and len(values) != 1:
        raise _bad(name, f"'{operator}:' takes one value; put one with commas in double quotes")
    return Filter(field=name, operator=operator, values=values)


def _status(name: str, value: str) -> Filter:
    found = _listed(name, value)
    for status in found.values:
        _one_of(name, str(status), STATUSES)
    return found


def _quoted(name: str, text: str) -> tuple[str, ...]:
    """Comma-separated values, double quotes around those that hold commas (`\\"` is a quote inside)."""
    try:
        rows = list(csv.reader([text], escapechar="\\", strict=True, skipinitialspace=True))
    except csv.Error as error:
        raise _bad(name, f"its list cannot be read: {error}") from None
    if len(rows) != 1 or not rows[0]:
        raise _bad(name, "its list is empty")
    return tuple(rows[0])


def _timed(name: str, value: str) -> Filter:
    """`gt:2026-11-22T08:50:42Z`, or a time alone for equality."""
    operator, colon, rest = value.partition(":")
    if not colon or operator not in _COMPARISONS:
        operator, rest = "eq", value
    return Filter(field=name, operator=operator, values=(_time(name, rest),))


def _counted(name: str, value: str) -> Filter:
    return Filter(field=name, operator="eq", values=(_count(name, value),))


def _size_min(name: str, value: str) -> Filter:
    return Filter(field="size", operator="gte", values=(_count(name, value),))


def _size_max(name: str, value: str) -> Filter:
    return Filter(field="size", operator="lte", values=(_count(name, value),))


def _visibility(name: str, value: str) -> Filter:
    """`all` asks for community images too, which a plain list leaves out."""
    if value == "all":
        return Filter(field=name, operator="in", values=VISIBILITIES)
    return Filter(field=name, operator="eq", values=(_one_of(name, value, VISIBILITIES),))


def _protected(name: str, value: str) -> Filter:
    return Filter(field=name, operator="eq", values=(_flag(name, value),))


_READERS: Mapping[str, Callable[[str, str], Filter]] = {
    **dict.fromkeys(_LISTS, _listed),
    **dict.fromkeys(_TIMES, _timed),
    **dict.fromkeys(_COUNTS, _counted),
    "status": _status,
    "visibility": _visibility,
    "protected": _protected,
    "size_min": _size_min,
    "size_max": _size_max,
}


def _tags(values: Sequence[str]) -> Iterator[str]:
    for value in values:
        if not 0 < len(value.strip()) <= 255:
            raise _bad("tag", "a tag has 1 to 255 characters")
        yield value.strip()


def _sort(sent: Mapping[str, list[str]]) -> tuple[tuple[str, bool], ...]:
    """(field, descending) pairs, ending in `created_at` and `id` so that every order is total."""
    if "sort" in sent and ("sort_key" in sent or "sort_dir" in sent):
        raise _bad("sort", "it cannot be combined with sort_key and sort_dir")
    pairs = list(_short_sort(sent["sort"][0])) if "sort" in sent else list(_long_sort(sent))
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise _bad("sort_key", "a key is given twice")
    default = sent["sort_dir"][0] if len(sent.get("sort_dir", [])) == 1 else "desc"
    pairs += [(key, default) for key in ("created_at", "id") if key not in keys]
    return tuple((_one_of("sort_key", key, SORT_KEYS), _descending(way)) for key, way in pairs)


def _short_sort(value: str) -> Iterator[tuple[str, str]]:
    """`sort=name:asc,size`."""
    for part in value.split(","):
        key, _, way = part.strip().partition(":")
        yield key, way or "desc"


def _long_sort(sent: Mapping[str, list[str]]) -> Iterator[tuple[str, str]]:
    """`sort_key=name&sort_dir=asc&...`: one direction for all keys, or one each."""
    keys, ways = sent.get("sort_key", []), sent.get("sort_dir", ["desc"])
    if len(ways) not in (1, len(keys)):
        raise _bad("sort_dir", f"{len(ways)} directions do not match {len(keys)} keys")
    return zip(keys, ways * len(keys) if len(ways) == 1 else ways, strict=True)


def _descending(way: str) -> bool:
    return _one_of("sort_dir", way, ("asc", "desc")) == "desc"


def _count(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 18):
        raise _bad(name, f"'{value[:40]}' is not a whole number of 0 or more")
    return int(value)


def _flag(name: str, value: str) -> bool:
    return _one_of(name, value.lower(), ("true", "false")) == "true"


def _time(name: str, value: str) -> datetime:
    try:
        # A plus sign that was not percent-encoded has become a space.
        at = datetime.fromisoformat(value.replace(" ", "+") if "T" in value else value)
        return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _bad(name, f"'{value[:40]}' is not an ISO 8601 time") from None


def _uuid(name: str, value: str) -> str:
    try:
        uuid.UUID(value)
    except ValueError:
        raise _bad(name, f"'{value[:40]}' is not the id of an image") from None
    return value


def _one_of(name: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise _bad(name, f"'{value[:40]}' is not one of {', '.join(allowed)}")
    return value


def _bad(name: str, why: str) -> BadRequest:
    return BadRequest(
        f"The query parameter '{name}' cannot be used: {why}.", remedy="Correct it or leave it out.", code="bad-query"
    )
