"""Emergency stops: the few that are in force, and those that were."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, insert, select, text, update

from gateway.catalog.rows import Rows
from gateway.catalog.tables import stops
from gateway.model.errors import NotFound
from gateway.model.stop import Stop, StopKind

_OLDEST_FIRST = (stops.c.added_at, stops.c.id)
_ALONE = text("LOCK TABLE policy_stops IN SHARE ROW EXCLUSIVE MODE")
"""Whoever looks at the stops in order to add one is the only one."""
_IN_FORCE = stops.c.lifted_at.is_(None)


def _stop(row: Row[Any]) -> Stop:
    values = dict(row._mapping)
    values["kind"] = StopKind(values["kind"])
    return Stop(**values)


class Stops(Rows):
    async def add_stop(self, stop: Stop) -> None:
        values = {column.name: getattr(stop, column.name) for column in stops.c}
        await self._connection.execute(insert(stops), values | {"kind": stop.kind.value})

    async def stops(self, *, lifted: bool = False) -> Sequence[Stop]:
        if self._shared:
            await self._connection.execute(_ALONE)
        found = select(stops).order_by(*_OLDEST_FIRST)
        return [_stop(row) for row in await self._all(found if lifted else found.where(_IN_FORCE))]

    async def lift_stop(self, stop_id: str, *, by: str, reason: str, now: datetime) -> Stop:
        this = update(stops).where(and_(stops.c.id == stop_id, _IN_FORCE))
        if not await self._change(this.values(lifted_by=by, lifted_at=now, lifted_reason=reason)):
            raise NotFound(f"No stop {stop_id} is in force.", remedy="GET /v2/info/import/stops lists those that are.")
        row = await self._first(select(stops).where(stops.c.id == stop_id))
        assert row is not None
        return _stop(row)
