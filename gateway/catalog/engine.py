"""Transactions, over two engines of one database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio.engine import AsyncEngine

from gateway.catalog import migrations, postgresql
from gateway.catalog.approvals import Approvals
from gateway.catalog.blobs import Blobs
from gateway.catalog.decisions import Decisions
from gateway.catalog.failures import said_as_refusals
from gateway.catalog.images import Images
from gateway.catalog.members import Members
from gateway.catalog.processes import Processes
from gateway.catalog.queue import Queue
from gateway.catalog.receipts import Receipts
from gateway.catalog.stops import Stops
from gateway.catalog.trust import Trust
from gateway.catalog.uploads import Uploads
from gateway.model.errors import BadRequest
from gateway.ports import Transaction


class SqlTransaction(Approvals, Images, Members, Blobs, Queue, Decisions, Receipts, Stops, Trust, Processes, Uploads):
    """All records of one database transaction: `gateway.ports.Transaction`."""


class SqlCatalog:
    """`gateway.ports.Catalog` over two engines, so that readers never wait behind the one who writes."""

    def __init__(self, writer: AsyncEngine, reader: AsyncEngine) -> None:
        self._writer = writer
        self._reader = reader
        self._ended = 0

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        try:
            with said_as_refusals():
                async with self._writer.begin() as connection:
                    yield SqlTransaction(connection, shared=connection.dialect.name != "sqlite")
        finally:
            self._ended += 1

    @property
    def written(self) -> int | None:
        return self._ended if self._writer.dialect.name == "sqlite" else None

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Transaction]:
        with said_as_refusals():
            async with self._reader.connect() as connection:
                yield SqlTransaction(connection)


@asynccontextmanager
async def open_catalog(
    place: str | Path,
    *,
    pool_size: int = postgresql.POOL_SIZE,
    password_file: Path | None = None,
    upgrade: bool = True,
) -> AsyncIterator[SqlCatalog]:
    """Open the records at a path or an SQLAlchemy URL and bring the schema up to date, or see that it is (`upgrade`).

    `pool_size` connections read and as many write, `password_file` holds the password of a URL that has none: both are
    PostgreSQL's. Raises Unavailable when the database cannot be had, BadRequest for a database nobody taught us yet,
    Conflict for a schema of another version.
    """
    url = _url(place)
    if url.get_backend_name() == "sqlite":
        from gateway.catalog import sqlite  # with the library itself, which another database does without

        path = Path(str(url.database))
        writer, reader = sqlite.writer(path), sqlite.reader(path)
    else:
        writer, reader = (
            engine(url, size=pool_size, password_file=password_file)
            for engine in (postgresql.writer, postgresql.reader)
        )
    try:
        with said_as_refusals():
            await (migrations.upgrade if upgrade else migrations.check)(writer)
        yield SqlCatalog(writer, reader)
    finally:
        await reader.dispose()
        await writer.dispose()


def _url(place: str | Path) -> URL:
    if isinstance(place, Path) or "://" not in place:
        return URL.create("sqlite", database=str(place))
    try:
        url = make_url(place)
    except ArgumentError:
        raise _unknown("this URL") from None
    kind = url.get_backend_name()
    if kind == "postgresql" or (kind == "sqlite" and url.database and url.database != ":memory:"):
        return url
    raise _unknown(f"'{url.render_as_string()}'")


def _unknown(place: str) -> BadRequest:
    return BadRequest(
        f"The catalog cannot be kept in {place}",
        remedy="Name a file (a path, or sqlite:///path) or a database (postgresql://user@host/database).",
        code="catalog-unknown",
    )
