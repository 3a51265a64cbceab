"""One list filter as one condition. Values are checked here, so that every database answers alike."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from sqlalchemy import Column, ColumnElement, exists, literal, not_

from gateway.catalog.tables import image_properties, image_tags, images
from gateway.model.errors import BadRequest
from gateway.model.image import VISIBILITIES
from gateway.ports import Filter

SORTABLE = frozenset(images.c.keys()) - {"tags", "properties", "deleted_at"}
"""The columns images may be sorted and filtered by; any other name is a free property."""

_Comparison = Callable[[ColumnElement[Any], ColumnElement[Any]], ColumnElement[bool]]
_COMPARISONS: dict[str, _Comparison] = {
    "eq": operator.eq,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_RANGES = frozenset({"gt", "gte", "lt", "lte"})
_LARGEST = (1 << 63) - 1


def condition(item: Filter, *, sorted_by: str = "") -> ColumnElement[bool]:
    """`neq` is true of a missing value, every other operator is false of it. Raises BadRequest."""
    if item.field not in SORTABLE:
        return _property(item)
    column = images.c[item.field]
    _check(item, column)
    if item.field == "visibility" and item.operator in ("eq", "in"):
        return visible_as(*item.values)
    if item.field == "size" and item.operator in _RANGES and sorted_by != "size":
        return _compare(_unindexed(column), item)
    return _compare(column, item)


def _unindexed(column: Column[Any]) -> ColumnElement[Any]:
    """A range of sizes may hold the whole cloud: only a list by size enters the index of sizes, others walk in their
    own order and stop at the end of the page.
    """
    return column + 0


def visible_as(*visibilities: object) -> ColumnElement[bool]:
    """Asked in the negative, which no index answers: a database that takes the index of all shared images walks the
    whole cloud for somebody's three. The walks of `query` name the visibility where its index is the right one.
    """
    return images.c.visibility.not_in([name for name in VISIBILITIES if name not in visibilities])


def tagged(tag: str) -> ColumnElement[bool]:
    return exists().where(image_tags.c.tag == checked_text("tag", tag), image_tags.c.image_id == images.c.id)


def _compare(column: ColumnElement[Any], item: Filter) -> ColumnElement[bool]:
    if item.operator == "in":
        return column.in_(item.values)
    (given,) = item.values
    value: ColumnElement[Any] = literal(given, column.type)
    if item.operator == "neq":
        return column.is_distinct_from(value)
    return _comparison(item.operator)(column, value)


def _property(item: Filter) -> ColumnElement[bool]:
    """Properties compare as text. One probe an image keeps the price at what the caller sees, not at the cloud."""
    _check(item, image_properties.c.value)
    negated = item.operator == "neq"
    found = Filter(field=item.field, operator="eq" if negated else item.operator, values=item.values)
    named = exists().where(
        image_properties.c.image_id == images.c.id,
        image_properties.c.name == checked_text("field", item.field),
        _compare(image_properties.c.value, found),
    )
    return not_(named) if negated else named


def _comparison(name: str) -> _Comparison:
    try:
        return _COMPARISONS[name]
    except KeyError:
        known = ", ".join([*_COMPARISONS, "neq", "in"])
        raise BadRequest(f"Unknown filter operator '{name}'", remedy=f"Use one of: {known}.") from None


def _check(item: Filter, column: Column[Any]) -> None:
    wanted = column.type.python_type
    for value in item.values:
        if not isinstance(value, wanted) or isinstance(value, bool) is not (wanted is bool):
            raise BadRequest(f"Filter '{item.field}' compares with {wanted.__name__} values, not '{value}'")
        if isinstance(value, str):
            checked_text(item.field, value)
        elif isinstance(value, int) and abs(value) > _LARGEST:
            raise BadRequest(f"Filter '{item.field}' compares with integers of 64 bits")


def checked_text(field: str, value: str) -> str:
    """A lone surrogate or a NUL is text to Python, and an error to a database."""
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise BadRequest(f"Filter '{field}' holds characters that no image can have")
    return value
