"""A page of images for one caller, by keyset: the rows after the marker, never an OFFSET.

What a caller sees is a few disjoint sets ("arms": its own images, the public ones...). Each arm is one walk along one
index that stops after `limit` rows; the page is the first `limit` of all arms together. An OR over the arms would
make the database read and sort everything the caller may see.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Column, CompoundSelect, Row, Select, and_, or_, select, union_all
from sqlalchemy.sql import true

from gateway.catalog.filters import SORTABLE, condition, tagged, visible_as
from gateway.catalog.keyset import Condition, Order, after, ordered
from gateway.catalog.tables import image_members, images
from gateway.model.errors import BadRequest
from gateway.model.image import VISIBILITIES
from gateway.ports import ImageQuery

_EVERYBODYS = ("public", "community")
_UNASKED = frozenset({"public", "shared"})
_ALL = frozenset(VISIBILITIES)


def page(
    image: Select[Any], query: ImageQuery, position: Row[Any] | None, few: Sequence[str] | None = None
) -> Select[Any]:
    """The statement for one page; `image` selects the columns, `position` holds the marker's sort values.

    `few` are the only ids that can be on the list, where that is known: they are then one walk.
    """
    order = ordered(_order(query))
    conditions = _conditions(query, position)
    arms = list(_arms(query, _asked(query)))
    if few is not None:
        arms = [and_(images.c.id.in_(few), or_(*arms))]
    walks = [select(images.c.id).where(arm, *conditions).order_by(*order).limit(query.limit).subquery() for arm in arms]
    ids: CompoundSelect[Any] | Select[Any] = union_all(*(select(walk.c.id) for walk in walks))
    return image.where(images.c.id.in_(ids)).order_by(*order).limit(query.limit)


def position(query: ImageQuery) -> Select[Any]:
    """The marker's sort values, if the caller may see it; tombstones still mark a place."""
    sight = or_(*_arms(replace(query, member_status="all"), _ALL))
    return select(*(column for column, _ in _order(query))).where(images.c.id == query.marker, sight)


def _conditions(query: ImageQuery, position: Row[Any] | None) -> list[Condition]:
    conditions = [images.c.deleted_at.is_(None), images.c.os_hidden == query.hidden]
    conditions += [condition(item, sorted_by=query.sort[0][0]) for item in query.filters]
    conditions += [tagged(tag) for tag in query.tags]
    if position is not None:
        conditions.append(after(_order(query), tuple(position)))
    return conditions


def _asked(query: ImageQuery) -> frozenset[str]:
    """The visibilities beyond the caller's own images that the filters ask for; community only when named."""
    for item in query.filters:
        if item.field == "visibility" and item.operator in ("eq", "in"):
            return frozenset(value for value in item.values if isinstance(value, str))
    return _UNASKED


def _arms(query: ImageQuery, asked: frozenset[str]) -> Iterator[Condition]:
    mine = images.c.owner == query.caller.project_id
    if query.caller.is_admin:
        yield from _admins(mine, asked)
        return
    yield from _own(mine, asked)
    others = images.c.owner.is_distinct_from(query.caller.project_id)
    for visibility in _EVERYBODYS:
        if visibility in asked:
            yield and_(images.c.visibility == visibility, others)
    if "shared" in asked:
        yield and_(images.c.id.in_(_shared_with(query)), visible_as("shared"), others)


def _own(mine: Condition, asked: frozenset[str]) -> list[Condition]:
    """One walk where all of them may be asked for, else one for each visibility that is named."""
    if asked in (_ALL, _UNASKED):
        return [mine]
    return [and_(mine, images.c.visibility == name) for name in sorted(asked)]


def _admins(mine: Condition, asked: frozenset[str]) -> list[Condition]:
    """Everything that is asked for; others' community images have to be asked for here too."""
    if asked == _ALL:
        return [true()]
    if asked == _UNASKED:
        return [or_(mine, visible_as(*_ALL - {"community"}))]
    return [images.c.visibility == name for name in sorted(asked)]


def _shared_with(query: ImageQuery) -> Select[Any]:
    mine = select(image_members.c.image_id).where(image_members.c.member_id == query.caller.project_id)
    return mine if query.member_status == "all" else mine.where(image_members.c.status == query.member_status)


def _order(query: ImageQuery) -> Order:
    return [(_column(field), descending) for field, descending in query.sort]


def _column(field: str) -> Column[Any]:
    if field not in SORTABLE:
        raise BadRequest(
            f"Images cannot be sorted by '{field}'", remedy=f"Sort by one of: {', '.join(sorted(SORTABLE))}."
        )
    return images.c[field]
