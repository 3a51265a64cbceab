"""Pages by keyset: the rows behind a position in a total order, never an OFFSET.

Nulls sort below every value, said aloud because databases differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, UnaryExpression, and_, false, literal, or_
from sqlalchemy.sql import true

Condition = ColumnElement[bool]
Order = Sequence[tuple[Column[Any], bool]]
"""(column, descending) pairs, ending in a unique column."""


def ordered(order: Order) -> list[UnaryExpression[Any]]:
    return [_ordered(column, descending) for column, descending in order]


def after(order: Order, values: Sequence[Any]) -> Condition:
    """Everything behind the position. The first clause is implied by the rest; it lets an index be entered there."""
    steps = []
    for depth, (column, descending) in enumerate(order):
        equal = [before == value for (before, _), value in zip(order[:depth], values[:depth], strict=True)]
        steps.append(and_(*equal, _beyond(column, descending, values[depth])))
    return and_(_not_before(*order[0], values[0]), or_(*steps))


def _ordered(column: Column[Any], descending: bool) -> UnaryExpression[Any]:
    if not column.nullable:
        return column.desc() if descending else column.asc()
    return column.desc().nulls_last() if descending else column.asc().nulls_first()


def _beyond(column: Column[Any], descending: bool, value: Any) -> Condition:
    if value is None:
        return false() if descending else column.is_not(None)
    mark = literal(value, column.type)
    beyond: Condition = column < mark if descending else column > mark
    return or_(beyond, column.is_(None)) if descending and column.nullable else beyond


def _not_before(column: Column[Any], descending: bool, value: Any) -> Condition:
    if value is None:
        return column.is_(None) if descending else true()
    mark = literal(value, column.type)
    reached: Condition = column <= mark if descending else column >= mark
    return or_(reached, column.is_(None)) if descending and column.nullable else reached
