"""What every table family asks of a connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from sqlalchemy import ColumnElement, Executable, Row, Table, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio.engine import AsyncConnection

from gateway.catalog.tables import blobs, images, imports
from gateway.model.errors import Conflict


class Rows:
    """One database transaction. After a Conflict from `_add` the transaction can only be rolled back.

    Where others write at the same time (`shared`), a writer holds the image it is about, from the first look at it
    until its end: what it has read of the image, its blobs and its imports is then still so when it changes them.
    Everybody holds in one order, so that nobody waits in a circle: one image, then rows of projects, then the rest.
    """

    def __init__(self, connection: AsyncConnection, *, shared: bool = False) -> None:
        self._connection = connection
        self._shared = shared
        self._held: set[str] = set()

    def native(self) -> AsyncConnection:
        return self._connection

    async def _hold(self, image_id: str) -> None:
        await self._hold_by(image_id, images.c.id == image_id)

    async def _hold_of_blob(self, blob_id: str) -> None:
        of = select(blobs.c.image_id).where(blobs.c.id == blob_id).scalar_subquery()
        await self._hold_by(blob_id, images.c.id == of)

    async def _hold_of_import(self, import_id: str) -> None:
        of = select(imports.c.image_id).where(imports.c.id == import_id).scalar_subquery()
        await self._hold_by(import_id, images.c.id == of)

    async def _hold_by(self, name: str, this: ColumnElement[bool]) -> None:
        """A statement of its own: what is read in the next one is read after the wait."""
        if not self._shared or name in self._held:
            return
        row = await self._first(select(images.c.id).where(this).with_for_update(key_share=True))
        if row is not None:
            self._held |= {name, row.id}

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

    def _insert(self, table: Table) -> Any:
        """An INSERT that can say what happens where the row is there already."""
        dialect = import_module(f"sqlalchemy.dialects.{self._connection.dialect.name}")  # the others are large
        return dialect.insert(table)
