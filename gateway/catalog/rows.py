"""What every table family asks of a connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Executable, Row, Table, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.model.errors import Conflict


class Rows:
    """One database transaction. After a Conflict from `_add` the transaction can only be rolled back."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    def native(self) -> AsyncConnection:
        return self._connection

    async def _first(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Row[Any] | None:
        return (await self._connection.execute(statement, parameters)).first()

    async def _all(self, statement: Executable) -> Sequence[Row[Any]]:
        return (await self._connection.execute(statement)).all()

    async def _change(self, statement: Executable) -> int:
        """The number of rows changed: the answer of a compare-and-swap."""
        return (await self._connection.execute(statement)).rowcount

    async def _add(self, table: Table, values: Mapping[str, Any], refusal: Conflict) -> None:
        """Insert one row, or raise `refusal` where the database's constraints do not let it in."""
        try:
            await self._connection.execute(insert(table), values)
        except IntegrityError as error:
            raise refusal from error
