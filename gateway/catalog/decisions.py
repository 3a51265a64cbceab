"""Decision records, and the policy trees they were made under."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from gateway.catalog.rows import Rows
from gateway.catalog.tables import decisions, trees
from gateway.model.errors import Conflict


class Decisions(Rows):
    async def add_decision(
        self, decision_id: str, image_id: str | None, at: datetime, revision: str, record: Mapping[str, Any]
    ) -> None:
        values = {"id": decision_id, "image_id": image_id, "at": at, "revision": revision, "record": dict(record)}
        await self._add(decisions, values, Conflict(f"Decision {decision_id} is already recorded"))

    async def decision(self, decision_id: str) -> Mapping[str, Any] | None:
        row = await self._first(select(decisions.c.record).where(decisions.c.id == decision_id))
        return row.record if row else None

    async def decisions(self, image_id: str) -> Sequence[Mapping[str, Any]]:
        newest = (decisions.c.at.desc(), decisions.c.id.desc())
        rows = await self._all(select(decisions.c.record).where(decisions.c.image_id == image_id).order_by(*newest))
        return [row.record for row in rows]

    async def keep_tree(self, revision: str, sources: Mapping[str, str]) -> None:
        """A revision is a digest of the sources: a row that is there already says the same."""
        row = self._insert(trees).values(revision=revision, sources=dict(sources))
        await self._connection.execute(row.on_conflict_do_nothing())

    async def tree(self, revision: str) -> Mapping[str, str] | None:
        row = await self._first(select(trees.c.sources).where(trees.c.revision == revision))
        return row.sources if row else None
