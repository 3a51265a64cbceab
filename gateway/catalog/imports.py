"""Import rows: moved by IMPORT_MOVES alone, fenced by the attempt number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, Update, func, select, update

from gateway.catalog.keyset import Order, after, ordered
from gateway.catalog.rows import Rows
from gateway.catalog.tables import imports
from gateway.model.errors import BadRequest, Cancelled, Conflict, NotFound
from gateway.model.imports import IMPORT_MOVES, Import, ImportMove, ImportStatus, ImportType, import_target
from gateway.ports import ImportQuery

_IMPORTS = select(imports)
_OPEN = (ImportStatus.PENDING.value, ImportStatus.PROCESSING.value)
_NUMBER = func.count().label("number")
_OPEN_COUNTS = select(imports.c.status, _NUMBER).where(imports.c.status.in_(_OPEN)).group_by(imports.c.status)
_SETTABLE = frozenset({"bytes_done", "bytes_total", "report", "code", "message", "remedy", "sealed", "updated_at"}) | {
    "stores_left",
    "stores_failed",
}
_TUPLES = ("report", "stores", "stores_left")


def _import(row: Row[Any]) -> Import:
    values = dict(row._mapping)
    values["status"] = ImportStatus(values["status"])
    values["type"] = ImportType(values["type"])
    for name in _TUPLES:
        values[name] = tuple(values[name])
    return Import(**values)


def _columns(values: Mapping[str, Any] | None) -> dict[str, Any]:
    columns = dict(values or {})
    if strangers := columns.keys() - _SETTABLE:
        raise ValueError(f"not settable on an import: {', '.join(sorted(strangers))}")
    return columns | {name: list(columns[name]) for name in _TUPLES if name in columns}


def _by_move(import_id: str, move: ImportMove) -> Update:
    sources, after = IMPORT_MOVES[move]
    movable = imports.c.status.in_([status.value for status in sources])
    return update(imports).where(imports.c.id == import_id, movable).values(status=after.value)


class Imports(Rows):
    async def add_import(self, work: Import) -> None:
        """Raises Conflict for a second open import of the same image, whatever its method."""
        await self._hold(work.image_id)
        values = {column.name: getattr(work, column.name) for column in imports.c}
        values |= {"status": work.status.value, "type": work.type.value}
        values |= {name: list(getattr(work, name)) for name in _TUPLES}
        values |= {name: dict(getattr(work, name)) for name in ("request", "facts", "stores_failed")}
        refusal = Conflict(
            f"Image {work.image_id} has an active import",
            remedy="Wait for it to end (see the image's tasks), or delete the image.",
            code="import-active",
        )
        await self._add(imports, values, refusal)

    async def import_(self, import_id: str) -> Import | None:
        await self._hold_of_import(import_id)
        row = await self._first(_IMPORTS.where(imports.c.id == import_id))
        return _import(row) if row else None

    async def imports(self, image_id: str) -> Sequence[Import]:
        await self._hold(image_id)
        newest_first = (imports.c.created_at.desc(), imports.c.id.desc())
        return await self._imports(_IMPORTS.where(imports.c.image_id == image_id).order_by(*newest_first))

    async def all_imports(self, query: ImportQuery) -> Sequence[Import]:
        order = [(imports.c[field], descending) for field, descending in query.sort]
        asked = {name: value for name in ("type", "status", "owner") if (value := getattr(query, name)) is not None}
        statement = _IMPORTS.filter_by(**asked).order_by(*ordered(order)).limit(query.limit)
        if query.marker is not None:
            statement = statement.where(after(order, await self._place(query.marker, order)))
        return await self._imports(statement)

    async def open_imports(self) -> Sequence[Import]:
        oldest_first = (imports.c.created_at, imports.c.id)
        return await self._imports(_IMPORTS.where(imports.c.status.in_(_OPEN)).order_by(*oldest_first))

    async def count_open_imports(self) -> Mapping[str, int]:
        rows = await self._all(_OPEN_COUNTS)
        return {**dict.fromkeys(_OPEN, 0), **{row.status: row.number for row in rows}}

    async def begin_attempt(self, import_id: str, *, runner: str | None = None, now: datetime) -> Import:
        statement = _by_move(import_id, ImportMove.START)
        statement = statement.values(attempt=imports.c.attempt + 1, begun_at=now, updated_at=now)
        if runner is not None:
            statement = statement.where(imports.c.runner == runner)
        return await self._swap(import_id, ImportMove.START, statement)

    async def move_import(
        self,
        import_id: str,
        move: ImportMove,
        *,
        attempt: int | None,
        now: datetime,
        values: Mapping[str, Any] | None = None,
    ) -> Import:
        statement = _by_move(import_id, move).values({"updated_at": now} | _columns(values))
        if attempt is not None:
            statement = statement.where(imports.c.attempt == attempt)
        return await self._swap(import_id, move, statement)

    async def progress(self, import_id: str, attempt: int, values: Mapping[str, Any]) -> bool:
        await self._hold_of_import(import_id)
        current = (
            imports.c.id == import_id,
            imports.c.attempt == attempt,
            imports.c.status == ImportStatus.PROCESSING.value,
        )
        return bool(await self._change(update(imports).where(*current).values(_columns(values))))

    async def _place(self, marker: str, order: Order) -> Sequence[Any]:
        row = await self._first(select(*(column for column, _ in order)).where(imports.c.id == marker))
        if row is None:
            raise BadRequest(f"No task found with marker {marker}", remedy="Start again without a marker.")
        return tuple(row)

    async def _swap(self, import_id: str, move: ImportMove, statement: Update) -> Import:
        """Compare-and-swap: nothing has changed when it raises."""
        await self._hold_of_import(import_id)
        moved = await self._change(statement)
        work = await self.import_(import_id)
        if work is None:
            raise NotFound(f"No import found with ID {import_id}")
        if not moved:
            import_target(work.status, move)
            raise Cancelled(f"Attempt {work.attempt} of import {import_id} has taken over.")
        return work

    async def _imports(self, statement: Select[Any]) -> Sequence[Import]:
        return [_import(row) for row in await self._all(statement)]
