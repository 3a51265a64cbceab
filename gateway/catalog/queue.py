"""The queue of imports, which is the open ones themselves: whose turn it is, who carries out what, and letting go.

One claims at a time (`_alone`), so that turns are given in order and caps are exact however many gateways there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Interval, Row, Update, case, false, func, insert, literal, select, text, update

from gateway.catalog.imports import Imports
from gateway.catalog.tables import imports, processes, project_turns
from gateway.model.imports import Import, ImportMove, ImportStatus
from gateway.model.turns import TURN, Standing, Waiting, next_turn, pace, start

_OPEN = imports.c.status.in_((ImportStatus.PENDING.value, ImportStatus.PROCESSING.value))
_RUNS = imports.c.runner.is_not(None)
_WAITS = imports.c.runner.is_(None) & imports.c.parked.is_(False)
_BEGUN = imports.c.begun_at.is_not(None)
_OLDEST_FIRST = (imports.c.created_at, imports.c.id)
_CLAIM_LOCK = 0x1A6E_6A7E_0002
"""Any number that nobody else takes; all gateways of a database take the same."""
_ALONE = text("SELECT set_config('idle_in_transaction_session_timeout', :idle, true), pg_advisory_xact_lock(:key)")
FROZEN_SECONDS = 4
SILENT_PART = 3
"""Of a lease; there are six signs of life in one."""


class Queue(Imports):
    async def claim_import(self, runner: str, *, cap: int | None, now: datetime) -> Import | None:
        if not await self.queued():
            return None
        await self._alone()
        given = await self._given()
        standings = await self.standings()
        chosen = next_turn(standings, given, cap)
        if chosen is None:
            return None
        first = select(imports.c.id).where(_OPEN, _WAITS, imports.c.project == chosen.project)
        row = await self._first(first.order_by(_BEGUN.desc(), *_OLDEST_FIRST).limit(1))
        if row is not None:
            await self._hold_of_import(row.id)
        if row is None or not await self._change(_taken(row.id, runner, now)):
            return None  # it has ended meanwhile
        began = start(chosen.served, given)
        await self._stand(chosen.project, given=pace(standings, given, cap), served=began + TURN)
        return await self.import_(row.id)

    async def queued(self) -> bool:
        return await self._first(select(imports.c.id).where(_OPEN, _WAITS).limit(1)) is not None

    async def standings(self) -> Sequence[Standing]:
        count = (
            select(
                imports.c.project,
                func.sum(case((_WAITS, 1), else_=0)).label("waiting"),
                func.sum(case((_RUNS, 1), else_=0)).label("running"),
                func.min(case((_WAITS, imports.c.created_at))).label("oldest"),
                func.sum(case((_WAITS & _BEGUN, 1), else_=0)).label("begun"),
                func.sum(case((_RUNS & ((imports.c.attempt > 1) | self._silent()), 1), else_=0)).label("owed"),
            )
            .where(_OPEN)
            .group_by(imports.c.project)
            .subquery()
        )
        standing = select(count, func.coalesce(project_turns.c.served, 0).label("served"))
        rows = await self._all(standing.outerjoin(project_turns, project_turns.c.project == count.c.project))
        return [Standing(**row._mapping) for row in rows]

    def _silent(self) -> ColumnElement[bool]:
        """Whether the process that carries it out has missed two signs of life. One on SQLite is alone, and needs none.

        Nobody may act for it yet, but its project need not wait for that.
        """
        if self._connection.dialect.name != "postgresql":
            return false()
        quiet = processes.c.lease / SILENT_PART * literal(timedelta(milliseconds=1), Interval)
        return imports.c.runner.in_(select(processes.c.id).where(processes.c.beat_at + quiet < func.clock_timestamp()))

    async def turn(self) -> int:
        return await self._given()

    async def waiting_imports(self) -> Sequence[Waiting]:
        columns = (imports.c.id, imports.c.project, imports.c.bytes_total)
        rows = await self._all(select(*columns).where(_OPEN, _WAITS).order_by(*_OLDEST_FIRST))
        return [Waiting(row.id, row.project, row.bytes_total or 0) for row in rows]

    async def running_imports(self) -> Sequence[Import]:
        return await self._imports(select(imports).where(_OPEN, _RUNS).order_by(*_OLDEST_FIRST))

    async def release_import(self, import_id: str, attempt: int) -> bool:
        return bool(await self._release(imports.c.id == import_id, imports.c.attempt == attempt))

    async def release_imports(self, runner: str | None = None) -> int:
        nobody = imports.c.runner.not_in(select(processes.c.id))
        return await self._release(nobody if runner is None else imports.c.runner == runner)

    async def _release(self, *these: ColumnElement[bool]) -> int:
        """What the lost attempts had come to, their projects were not served."""
        await self._alone()
        columns = (imports.c.id, imports.c.project, imports.c.bytes_done)
        held = select(*columns).where(_OPEN, _RUNS, *these).order_by(imports.c.project, imports.c.id)
        rows = await self._all(held.with_for_update())
        for row in rows:
            standing = update(project_turns).where(project_turns.c.project == row.project)
            await self._connection.execute(standing.values(served=project_turns.c.served - row.bytes_done))
        freed = update(imports).where(imports.c.id.in_([row.id for row in rows]))
        return await self._change(freed.values(runner=None, attempt=imports.c.attempt + 1, bytes_done=0))

    async def park_import(self, import_id: str, attempt: int, values: Mapping[str, Any]) -> bool:
        if not await self.progress(import_id, attempt, values):
            return False
        await self._connection.execute(
            update(imports).where(imports.c.id == import_id).values(parked=True, runner=None)
        )
        return True

    async def unpark_import(self, import_id: str) -> None:
        await self._connection.execute(update(imports).where(imports.c.id == import_id).values(parked=False))

    async def progress(self, import_id: str, attempt: int, values: Mapping[str, Any]) -> bool:
        before = await self._served(import_id)
        current = await super().progress(import_id, attempt, values)
        if current:
            await self._serve(before, values)
        return current

    async def move_import(
        self,
        import_id: str,
        move: ImportMove,
        *,
        attempt: int | None,
        now: datetime,
        values: Mapping[str, Any] | None = None,
    ) -> Import:
        before = await self._served(import_id)
        work = await super().move_import(import_id, move, attempt=attempt, now=now, values=values)
        await self._serve(before, values or {})
        return work

    async def _served(self, import_id: str) -> Row[Any] | None:
        await self._hold_of_import(import_id)
        return await self._first(select(imports.c.project, imports.c.bytes_done).where(imports.c.id == import_id))

    async def _serve(self, before: Row[Any] | None, values: Mapping[str, Any]) -> None:
        """The bytes that have come since are what the project was served."""
        if before is not None and (more := values.get("bytes_done", 0) - before.bytes_done) > 0:
            served = update(project_turns).where(project_turns.c.project == before.project)
            await self._connection.execute(served.values(served=project_turns.c.served + more))

    async def _given(self) -> int:
        row = await self._first(select(func.max(project_turns.c.given)))
        return int(row[0] or 0) if row else 0

    async def _stand(self, project: str, **values: int) -> None:
        if not await self._change(update(project_turns).where(project_turns.c.project == project).values(values)):
            await self._connection.execute(insert(project_turns), {"project": project, **values})

    async def _alone(self) -> None:
        """Until this transaction ends nobody else claims. SQLite has one writer anyway.

        A gateway that is frozen meanwhile would keep all others from it, so the server waits for it less than usual.
        """
        if self._connection.dialect.name == "postgresql":
            await self._connection.execute(_ALONE, {"key": _CLAIM_LOCK, "idle": f"{FROZEN_SECONDS}s"})


def _taken(import_id: str, runner: str, now: datetime) -> Update:
    """Whoever held it before is fenced out by the number."""
    values = {"runner": runner, "status": ImportStatus.PROCESSING.value, "begun_at": now, "updated_at": now}
    waits = update(imports).where(imports.c.id == import_id, _OPEN, _WAITS)
    return waits.values(attempt=imports.c.attempt + 1, **values)
