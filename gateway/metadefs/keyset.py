"""Pages by keyset: the rows behind a marker, never an OFFSET."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, literal, tuple_

from gateway.catalog.rows import Rows
from gateway.metadefs.records import Page
from gateway.model.errors import NotFound


class Paged(Rows):
    async def _page(self, rows: Select[Any], page: Page, key: str) -> list[Row[Any]]:
        """The rows of a page. `key` is the column of names: markers are names. Raises NotFound for an unknown one."""
        marker = None if page.marker is None else await self._marker(rows, page.marker, key)
        return list(await self._all(_cut(rows, page, marker, key)))

    async def _marker(self, rows: Select[Any], name: str, key: str) -> Row[Any]:
        row = await self._first(rows.where(rows.selected_columns[key] == name))
        if row is None:
            raise NotFound(f"The marker '{name}' is not in this list.", remedy="Start without a marker.")
        return row


def _cut(rows: Select[Any], page: Page, marker: Row[Any] | None, key: str) -> Select[Any]:
    """The name makes every order total; a missing value sorts as an empty one."""
    columns = [rows.selected_columns[name] for name in (page.sort_key, "created_at", key)]
    order = [_filled(column) for column in columns]
    if marker is not None:
        here, there = tuple_(*order), tuple_(*(_mark(marker, column) for column in columns))
        rows = rows.where(here < there if page.descending else here > there)
    return rows.order_by(*(one.desc() if page.descending else one.asc() for one in order)).limit(page.limit)


def _filled(column: Any) -> ColumnElement[Any]:
    return func.coalesce(column, "") if column.nullable else column


def _mark(marker: Row[Any], column: ColumnElement[Any]) -> ColumnElement[Any]:
    value = marker._mapping[column]
    return literal("" if value is None else value, column.type)
