"""Approvals: moved once, from pending, by compare-and-swap. One whose import has ended is history, whatever it says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, select, update

from gateway.catalog.rows import Rows
from gateway.catalog.tables import approvals, imports
from gateway.model.approval import Approval, ApprovalState
from gateway.model.errors import Conflict
from gateway.model.imports import ImportStatus

_PENDING = approvals.c.state == ApprovalState.PENDING.value
_OLDEST_FIRST = (approvals.c.asked_at, approvals.c.import_id)
_OF_OPEN = select(approvals).join(imports, imports.c.id == approvals.c.import_id).where(
    imports.c.status == ImportStatus.PROCESSING.value
)  # fmt: skip


def _approval(row: Row[Any]) -> Approval:
    values = dict(row._mapping)
    return Approval(**values | {"state": ApprovalState(values["state"])})


class Approvals(Rows):
    async def add_approval(self, approval: Approval) -> None:
        values = {column.name: getattr(approval, column.name) for column in approvals.c}
        refusal = Conflict(f"Import {approval.import_id} waits already.", code="approval-exists")
        await self._add(approvals, values | {"state": approval.state.value}, refusal)

    async def approvals(self, import_id: str) -> Sequence[Approval]:
        return await self._approvals(select(approvals).where(approvals.c.import_id == import_id))

    async def pending_approvals(self, roles: Sequence[str] | None, limit: int = 200) -> Sequence[Approval]:
        statement = _OF_OPEN.where(_PENDING).limit(limit)
        return await self._approvals(statement if roles is None else statement.where(approvals.c.role.in_(roles)))

    async def overdue_approvals(self, now: datetime) -> Sequence[Approval]:
        return await self._approvals(_OF_OPEN.where(_PENDING, approvals.c.expires_at <= now))

    async def negative_approvals(self) -> Sequence[Approval]:
        negative = (ApprovalState.REFUSED.value, ApprovalState.EXPIRED.value)
        return await self._approvals(_OF_OPEN.where(approvals.c.state.in_(negative)))

    async def decide_approval(self, approval: Approval) -> bool:
        this = update(approvals).where(
            approvals.c.import_id == approval.import_id, approvals.c.role == approval.role, _PENDING
        )
        values = {name: getattr(approval, name) for name in ("decided_by", "decided_at", "reason")}
        return bool(await self._change(this.values(values | {"state": approval.state.value})))

    async def _approvals(self, statement: Select[Any]) -> Sequence[Approval]:
        return [_approval(row) for row in await self._all(statement.order_by(*_OLDEST_FIRST))]
