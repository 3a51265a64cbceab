"""A page of images for one caller, by keyset: the rows after the marker, never an OFFSET.

What a caller sees is a few disjoint sets ("arms": its own images, the public ones...). Each arm is one walk along one
index that stops after `limit` rows; the page is the first `limit` of all arms together. An OR over the arms would
make the database read and sort everything the caller may see.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    CompoundSelect,
    Row,
    Select,
    UnaryExpression,
    and_,
    false,
    literal,
    or_,
    select,
    union_all,
)
from sqlalchemy.sql import true

from gateway.catalog.filters import SORTABLE, condition, tagged
from gateway.catalog.tables import images
from gateway.model.errors import BadRequest
from gateway.ports import ImageQuery

Condition = ColumnElement[bool]
_EVERYBODYS = ("public", "community")


def page(image: Select[Any], query: ImageQuery, position: Row[Any] | None) -> Select[Any]:
    """The statement for one page; `image` selects the columns, `position` holds the marker's sort values."""
    order = [_ordered(field, descending) for field, descending in query.sort]
    conditions = _conditions(query, position)
    walks = [
        select(images.c.id).where(arm, *conditions).order_by(*order).limit(query.limit).subquery()
        for arm in _arms(query, _asked(query))
    ]
    ids: CompoundSelect[Any] | Select[Any] = union_all(*(select(walk.c.id) for walk in walks))
    return image.where(images.c.id.in_(ids)).order_by(*order).limit(query.limit)


def position(query: ImageQuery) -> Select[Any]:
    """The marker's sort values, if the caller may see it; tombstones still mark a place."""
    sight = or_(*_arms(query, frozenset(_EVERYBODYS)))
    return select(*(_column(field) for field, _ in query.sort)).where(images.c.id == query.marker, sight)


def _conditions(query: ImageQuery, position: Row[Any] | None) -> list[Condition]:
    conditions = [images.c.deleted_at.is_(None), images.c.os_hidden == query.hidden]
    conditions += [condition(item) for item in query.filters]
    conditions += [tagged(tag) for tag in query.tags]
    if position is not None:
        conditions.append(_after(query.sort, tuple(position)))
    return conditions


def _asked(query: ImageQuery) -> frozenset[str]:
    """The visibilities beyond the caller's own images that the filters ask for; community only when named."""
    asked = frozenset({"public"})
    for item in query.filters:
        if item.field == "visibility" and item.operator in ("eq", "in"):
            asked = frozenset(value for value in item.values if isinstance(value, str))
    return asked


def _arms(query: ImageQuery, asked: frozenset[str]) -> Iterator[Condition]:
    if query.caller.is_admin:
        yield true()
        return
    yield images.c.owner == query.caller.project_id
    others = images.c.owner.is_distinct_from(query.caller.project_id)
    for visibility in _EVERYBODYS:
        if visibility in asked:
            yield and_(images.c.visibility == visibility, others)


def _column(field: str) -> ColumnElement[Any]:
    if field not in SORTABLE:
        raise BadRequest(
            f"Images cannot be sorted by '{field}'", remedy=f"Sort by one of: {', '.join(sorted(SORTABLE))}."
        )
    return images.c[field]


def _ordered(field: str, descending: bool) -> UnaryExpression[Any]:
    """Nulls sort below every value, said aloud because databases differ."""
    column = _column(field)
    if not images.c[field].nullable:
        return column.desc() if descending else column.asc()
    return column.desc().nulls_last() if descending else column.asc().nulls_first()


def _after(sort: Sequence[tuple[str, bool]], values: tuple[Any, ...]) -> Condition:
    """Everything behind the position. The first clause is implied by the rest; it lets an index be entered there."""
    steps = []
    for depth, (field, descending) in enumerate(sort):
        equal = [images.c[name] == value for (name, _), value in zip(sort[:depth], values[:depth], strict=True)]
        steps.append(and_(*equal, _beyond(field, descending, values[depth])))
    return and_(_not_before(*sort[0], values[0]), or_(*steps))


def _beyond(field: str, descending: bool, value: Any) -> Condition:
    column: Column[Any] = images.c[field]
    if value is None:
        return false() if descending else column.is_not(None)
    mark = literal(value, column.type)
    beyond: Condition = column < mark if descending else column > mark
    return or_(beyond, column.is_(None)) if descending and column.nullable else beyond


def _not_before(field: str, descending: bool, value: Any) -> Condition:
    column: Column[Any] = images.c[field]
    if value is None:
        return column.is_(None) if descending else true()
    mark = literal(value, column.type)
    reached: Condition = column <= mark if descending else column >= mark
    return or_(reached, column.is_(None)) if descending and column.nullable else reached
