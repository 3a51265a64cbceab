"""The query string of `GET /v2/images` as a query for the catalog ("List images" in the Images API reference)."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NoReturn

from gateway.api.image_schema import STATUSES
from gateway.api.query_values import (
    DEFAULT_LIMIT,
    bad_query,
    count,
    descending,
    flag,
    identifier,
    limit,
    moment,
    one_of,
)
from gateway.model.caller import Caller
from gateway.model.image import VISIBILITIES
from gateway.ports import Filter, ImageQuery

SORT_KEYS = ("name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at")
MEMBER_STATUSES = ("pending", "accepted", "rejected", "all")

_REPEATED = frozenset({"tag", "sort_key", "sort_dir"})
_PAGING = _REPEATED | {"limit", "marker", "sort", "os_hidden", "member_status"}
_LISTS = ("id", "name", "status", "container_format", "disk_format", "owner")
_TIMES = ("created_at", "updated_at")
COUNTS = ("size", "virtual_size", "min_ram", "min_disk")
_COMPARISONS = ("eq", "neq", "gt", "gte", "lt", "lte")

Values = tuple[str | int | bool | datetime, ...]


def parse_listing(items: Iterable[tuple[str, str]], caller: Caller) -> ImageQuery:
    """`items` are the query's decoded pairs, in order. Raises BadRequest, by name, for every bad value."""
    sent = _collected(items)
    single = {name: values[0] for name, values in sent.items() if name not in _REPEATED}
    return ImageQuery(
        caller=caller,
        filters=tuple(_filter(name, value) for name, value in single.items() if name not in _PAGING),
        tags=tuple(_tags(sent.get("tag", []))),
        sort=_sort(sent),
        marker=identifier("marker", single["marker"]) if "marker" in single else None,
        limit=limit(single.get("limit", str(DEFAULT_LIMIT))),
        hidden=flag("os_hidden", single.get("os_hidden", "false")),
        member_status=one_of("member_status", single.get("member_status", "accepted"), MEMBER_STATUSES),
    )


def _collected(items: Iterable[tuple[str, str]]) -> Mapping[str, list[str]]:
    sent: dict[str, list[str]] = defaultdict(list)
    for name, value in items:
        if not 0 < len(name) <= 255 or "\0" in name + value or "\ufffd" in name:
            raise bad_query(name[:60], "no image can have it")
        if name in sent and name not in _REPEATED:
            raise bad_query(name, "it is given twice")
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
        raise bad_query(name, f"'{operator}:' takes one value; put one with commas in double quotes")
    return Filter(field=name, operator=operator, values=values)


def _status(name: str, value: str) -> Filter:
    found = _listed(name, value)
    for status in found.values:
        one_of(name, str(status), STATUSES)
    return found


def _quoted(name: str, text: str) -> tuple[str, ...]:
    """Comma-separated values, double quotes around those that hold commas (`\\"` is a quote inside)."""
    try:
        rows = list(csv.reader([text], escapechar="\\", strict=True, skipinitialspace=True))
    except csv.Error as error:
        raise bad_query(name, f"its list cannot be read: {error}") from None
    if len(rows) != 1 or not rows[0]:
        raise bad_query(name, "its list is empty")
    return tuple(rows[0])


def _timed(name: str, value: str) -> Filter:
    """`gt:2026-11-22T08:50:42Z`, or a time alone for equality."""
    operator, colon, rest = value.partition(":")
    if not colon or operator not in _COMPARISONS:
        operator, rest = "eq", value
    return Filter(field=name, operator=operator, values=(moment(name, rest),))


def _counted(name: str, value: str) -> Filter:
    return Filter(field=name, operator="eq", values=(count(name, value),))


def _least(name: str, value: str) -> Filter:
    return Filter(field=name.removesuffix("_min"), operator="gte", values=(count(name, value),))


def _most(name: str, value: str) -> Filter:
    return Filter(field=name.removesuffix("_max"), operator="lte", values=(count(name, value),))


def _visibility(name: str, value: str) -> Filter:
    """`all` asks for community images too, which a plain list leaves out."""
    if value == "all":
        return Filter(field=name, operator="in", values=VISIBILITIES)
    return Filter(field=name, operator="eq", values=(one_of(name, value, VISIBILITIES),))


def _protected(name: str, value: str) -> Filter:
    return Filter(field=name, operator="eq", values=(flag(name, value),))


def _gone(name: str, value: str) -> NoReturn:
    """A filter of version 1 that would be taken for a property."""
    raise bad_query(name, "it is no longer available; filter by updated_at=gte:TIME")


_READERS: Mapping[str, Callable[[str, str], Filter]] = {
    **dict.fromkeys(_LISTS, _listed),
    **dict.fromkeys(_TIMES, _timed),
    **dict.fromkeys(COUNTS, _counted),
    **dict.fromkeys([f"{name}_min" for name in COUNTS], _least),
    **dict.fromkeys([f"{name}_max" for name in COUNTS], _most),
    "status": _status,
    "visibility": _visibility,
    "protected": _protected,
    "changes-since": _gone,
}

NAMES = _PAGING | set(_READERS) - {"changes-since"}
"""Parameters with a meaning of their own; any other name is that of a free property."""


def _tags(values: Sequence[str]) -> Iterator[str]:
    for value in values:
        if not 0 < len(value.strip()) <= 255:
            raise bad_query("tag", "a tag has 1 to 255 characters")
        yield value.strip()


def _sort(sent: Mapping[str, list[str]]) -> tuple[tuple[str, bool], ...]:
    """(field, descending) pairs, ending in `created_at` and `id` so that every order is total."""
    if "sort" in sent and ("sort_key" in sent or "sort_dir" in sent):
        raise bad_query("sort", "it cannot be combined with sort_key and sort_dir")
    pairs = list(_short_sort(sent["sort"][0])) if "sort" in sent else list(_long_sort(sent))
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise bad_query("sort_key", "a key is given twice")
    default = sent["sort_dir"][0] if len(sent.get("sort_dir", [])) == 1 else "desc"
    pairs += [(key, default) for key in ("created_at", "id") if key not in keys]
    return tuple((one_of("sort_key", key, SORT_KEYS), descending(way)) for key, way in pairs)


def _short_sort(value: str) -> Iterator[tuple[str, str]]:
    """`sort=name:asc,size`."""
    for part in value.split(","):
        key, _, way = part.strip().partition(":")
        yield key, way or "desc"


def _long_sort(sent: Mapping[str, list[str]]) -> Iterator[tuple[str, str]]:
    """`sort_key=name&sort_dir=asc&...`: one direction for all keys, or one each."""
    keys, ways = sent.get("sort_key", []), sent.get("sort_dir", ["desc"])
    if len(ways) not in (1, len(keys)):
        raise bad_query("sort_dir", f"{len(ways)} directions do not match {len(keys)} keys")
    return zip(keys, ways * len(keys) if len(ways) == 1 else ways, strict=True)
