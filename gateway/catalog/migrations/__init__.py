"""The schema's history, run at start.

Alembic takes a second to import, so it is asked only when the database is not at `HEAD` yet.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, MetaData, inspect, text
from sqlalchemy.ext.asyncio.engine import AsyncEngine

from gateway.catalog import postgresql
from gateway.catalog.tables import metadata
from gateway.model.errors import Conflict

HEAD = "0012"
FOLDER = Path(__file__).parent


async def check(engine: AsyncEngine) -> None:
    """Raises Conflict for a schema that is not at HEAD: what only reads beside a service changes nothing under it."""
    async with engine.connect() as connection:
        found = await connection.run_sync(_revision)
    if found != HEAD:
        raise _of_another_version(found)


async def upgrade(engine: AsyncEngine) -> None:
    """Bring the schema to HEAD in one transaction: of two processes that start together, one finds it done.

    Raises Conflict for one that a newer version has made: what that one means by it nobody here knows.
    """
    server = engine.dialect.name == "postgresql"
    async with engine.begin() as connection:
        if server:
            await connection.run_sync(postgresql.alone)
        found = await connection.run_sync(_revision)
        if found is not None and found > HEAD:
            raise _of_another_version(found)
        if found != HEAD:
            await connection.run_sync(_upgrade)
            if server:
                await connection.run_sync(postgresql.compare_by_bytes, metadata)


def _of_another_version(found: str | None) -> Conflict:
    return Conflict(
        f"The records have revision {found or 'none'} of the schema, and this version of the gateway reads {HEAD}.",
        remedy="Use the version of the gateway that made them.",
        code="catalog-version",
    )


def create(connection: Connection, tables: MetaData) -> None:
    """Tables of a part that has no revisions: what is missing is made, by one of those that start together."""
    server = connection.dialect.name == "postgresql"
    if server:
        postgresql.alone(connection)
    tables.create_all(connection)
    if server:
        postgresql.compare_by_bytes(connection, tables)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    command.upgrade(config, "head")
