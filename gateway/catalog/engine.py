"""Transactions, and the mapping of a database's failures to refusals."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import DatabaseError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.catalog import migrations, sqlite
from gateway.catalog.approvals import Approvals
from gateway.catalog.blobs import Blobs
from gateway.catalog.decisions import Decisions
from gateway.catalog.images import Images
from gateway.catalog.imports import Imports
from gateway.catalog.members import Members
from gateway.catalog.receipts import Receipts
from gateway.catalog.stops import Stops
from gateway.catalog.trust import Trust
from gateway.model.errors import BadRequest, Unavailable
from gateway.ports import Transaction


class SqlTransaction(Approvals, Images, Members, Blobs, Imports, Decisions, Receipts, Stops, Trust):
    """All records of one database transaction: `gateway.ports.Transaction`."""


class SqlCatalog:
    """`gateway.ports.Catalog` over two engines, so that readers never wait behind the one who writes."""

    def __init__(self, writer: AsyncEngine, reader: AsyncEngine) -> None:
        self._writer = writer
        self._reader = reader

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        with _said_as_refusals():
            async with self._writer.begin() as connection:
                yield SqlTransaction(connection)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Transaction]:
        with _said_as_refusals():
            async with self._reader.connect() as connection:
                yield SqlTransaction(connection)


@asynccontextmanager
async def open_catalog(place: str | Path) -> AsyncIterator[SqlCatalog]:
    """Open the records at a path or an SQLAlchemy URL and bring the schema up to date.

    Raises Unavailable when the database cannot be had, BadRequest for a database nobody taught us yet.
    """
    path = _sqlite_path(place)
    writer, reader = sqlite.writer(path), sqlite.reader(path)
    try:
        with _said_as_refusals():
            await migrations.upgrade(writer)
        yield SqlCatalog(writer, reader)
    finally:
        await reader.dispose()
        await writer.dispose()


def _sqlite_path(place: str | Path) -> Path:
    if isinstance(place, Path) or "://" not in place:
        return Path(place)
    url = make_url(place)
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        raise BadRequest(
            f"The catalog cannot be kept in '{url.render_as_string()}'",
            remedy="Name a file: a path, or sqlite:///path.",
            code="catalog-unknown",
        )
    return Path(url.database)


@contextmanager
def _said_as_refusals() -> Iterator[None]:
    """What a database may do to anybody at any time is Unavailable; a wrong statement stays the bug it is."""
    try:
        yield
    except NoConnection as error:
        raise _busy() from error
    except (OperationalError, InternalError) as error:
        raise _unavailable(error) from error
    except DatabaseError as error:
        if type(error) is not DatabaseError:
            raise
        raise _unavailable(error) from error


def _unavailable(error: DatabaseError) -> Unavailable:
    reason = str(error.orig)
    if "locked" in reason or "busy" in reason:
        return _busy()
    if "full" in reason:
        return Unavailable("The catalog's disk is full", remedy="Free space, then try again.", code="catalog-full")
    return Unavailable(
        f"The catalog cannot be used: {reason}", remedy="See the service's log, then try again.", code="catalog-broken"
    )


def _busy() -> Unavailable:
    return Unavailable("The catalog is busy", remedy="Try again in a few seconds.", code="catalog-busy")
