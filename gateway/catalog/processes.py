"""The gateways on these records: their signs of life, by the database's clock, and the keys they share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update

from gateway.catalog.rows import Rows
from gateway.catalog.tables import processes, shared_keys
from gateway.model.errors import Conflict
from gateway.model.process import Process


def _process(row: Row[Any]) -> Process:
    values = dict(row._mapping)
    return Process(**values | {"lease": None if row.lease is None else timedelta(milliseconds=row.lease)})


def _columns(process: Process) -> dict[str, Any]:
    values = {column.name: getattr(process, column.name) for column in processes.c}
    lease = process.lease
    return values | {"lease": None if lease is None else lease // timedelta(milliseconds=1)}


class Processes(Rows):
    async def clock(self) -> datetime:
        if self._connection.dialect.name == "postgresql":
            row = await self._first(select(func.clock_timestamp()))
            assert row is not None
            now: datetime = row[0]
            return now.astimezone(UTC)
        row = await self._first(select(func.strftime("%Y-%m-%d %H:%M:%f", "now")))
        assert row is not None
        return datetime.strptime(row[0], "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)

    async def processes(self) -> Sequence[Process]:
        return [_process(row) for row in await self._all(select(processes).order_by(processes.c.started_at))]

    async def beat(self, process: Process) -> Process | None:
        this = processes.c.id == process.id
        before = await self._first(select(processes).where(this).with_for_update())
        if before is None:
            await self._connection.execute(insert(processes), _columns(process))
            return None
        changing = {"host", "beat_at", "revision", "draining"}
        values = {name: value for name, value in _columns(process).items() if name in changing}
        await self._connection.execute(update(processes).where(this).values(values))
        return _process(before)

    async def bury(self, process: Process) -> bool:
        seen = (processes.c.id == process.id, processes.c.beat_at == process.beat_at)
        return bool(await self._change(delete(processes).where(*seen)))

    async def leave(self, process_id: str) -> None:
        await self._connection.execute(delete(processes).where(processes.c.id == process_id))

    async def share_key(self, name: str, fingerprint: str) -> bool:
        row = await self._first(select(shared_keys.c.fingerprint).where(shared_keys.c.name == name))
        if row is None:
            refusal = Conflict(f"Two gateways brought a {name} at the same moment.", remedy="Start this one again.")
            await self._add(shared_keys, {"name": name, "fingerprint": fingerprint}, refusal)
            return True
        return bool(row.fingerprint == fingerprint)
