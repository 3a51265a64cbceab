"""How each project's imports have ended, one row a project, and the break-glass rules opened for projects.

A count is moved in the transaction that ends the import, so that it counts once or, where that fails, not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Update, func, select, update

from gateway.catalog.rows import Rows
from gateway.catalog.tables import openings, project_history
from gateway.model.errors import Conflict, NotFound
from gateway.model.trust import History, Opening

_OPEN = openings.c.ended_at.is_(None)


class Trust(Rows):
    async def history(self, project: str) -> History:
        counted = select(project_history.c.accepted, project_history.c.rejected, project_history.c.first_at)
        row = await self._first(counted.where(project_history.c.project == project))
        return History(*row) if row else History()

    async def count_import(self, project: str, *, accepted: bool, now: datetime) -> None:
        statement = _counted(project, accepted, now)
        if not await self._change(statement):
            await self._begin_history(project)
            await self._change(statement)

    async def _begin_history(self, project: str) -> None:
        """A row of zeros; where another transaction has just made it, that one is as good."""
        row = self._insert(project_history).values(project=project, **_NOTHING)
        await self._connection.execute(row.on_conflict_do_nothing())

    async def add_opening(self, opening: Opening) -> None:
        this = (openings.c.project == opening.project, openings.c.rule == opening.rule, _OPEN)
        over = update(openings).where(*this, openings.c.until <= opening.opened_at)
        await self._change(over.values(ended_at=openings.c.until))
        refusal = Conflict(
            f"'{opening.rule}' is open for project {opening.project} already.",
            remedy="Close it first, or wait for its end; GET /v2/info/import/break-glass tells when that is.",
            code="already-open",
        )
        await self._add(openings, {column.name: getattr(opening, column.name) for column in openings.c}, refusal)

    async def opening(self, opening_id: str) -> Opening | None:
        row = await self._first(select(openings).where(openings.c.id == opening_id))
        return Opening(**row._mapping) if row else None

    async def openings(self, project: str | None, *, now: datetime) -> Sequence[Opening]:
        statement = select(openings).where(_OPEN, openings.c.until > now)
        if project is not None:
            statement = statement.where(openings.c.project == project)
        rows = await self._all(statement.order_by(openings.c.opened_at, openings.c.id))
        return [Opening(**row._mapping) for row in rows]

    async def end_opening(self, opening_id: str, *, by: str, now: datetime) -> Opening:
        this = update(openings).where(openings.c.id == opening_id, _OPEN, openings.c.until > now)
        if not await self._change(this.values(ended_at=now, ended_by=by)):
            raise NotFound(
                f"Nothing is open under the id {opening_id}.", remedy="GET /v2/info/import/break-glass lists what is."
            )
        found = await self.opening(opening_id)
        assert found is not None
        return found


_NOTHING: dict[str, Any] = {"accepted": 0, "rejected": 0}


def _counted(project: str, accepted: bool, now: datetime) -> Update:
    row = update(project_history).where(project_history.c.project == project)
    if not accepted:
        return row.values(rejected=project_history.c.rejected + 1)
    first = func.coalesce(project_history.c.first_at, now, type_=project_history.c.first_at.type)
    return row.values(accepted=project_history.c.accepted + 1, first_at=first)
