"""Records of an earlier release, opened by this one, on each database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, Column, Connection, MetaData, Table, create_engine, make_url, text
from sqlalchemy import inspect as inspected

from gateway.catalog import migrations, open_catalog
from gateway.catalog.tables import metadata
from gateway.model.errors import Conflict
from gateway.model.image import BlobState, Status
from gateway.model.imports import ImportStatus
from gateway.model.trust import History
from gateway.model.usage import Counted
from gateway.ports import Catalog, Filter, ImageQuery
from tests.catalog import postgres
from tests.catalog.made import ALICE, added, played

NOW = datetime(2026, 11, 22, tzinfo=UTC)
GIVEN: Mapping[str, Any] = {
    "image_id": "i1", "import_id": "w1", "blob_id": "b1", "owner": "alice", "project": "alice", "visibility": "shared",
    "images.id": "i1", "images.status": "active", "images.tags": ["t"], "images.properties": {"p": "v"},
    "image_tags.tag": "t", "image_properties.name": "p", "image_properties.value": "v",
    "blobs.id": "b1", "blobs.store": "local", "blobs.state": "kept", "blobs.size": 5, "blobs.charged": 5,
    "imports.id": "w1", "imports.status": "success", "imports.type": "api_image_import", "imports.store": "local",
    "imports.stores": ["local"], "imports.stores_left": [], "imports.stores_failed": {}, "imports.report": [],
    "image_members.status": "accepted", "import_approvals.state": "approved", "project_usage.size": 5,
    "project_history.accepted": 1, "project_history.rejected": 0, "project_history.first_at": NOW,
}  # fmt: skip
"""Values by column, or by table and column; the rest is made of its type."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations.FOLDER))
    return config


REVISIONS = [script.revision for script in reversed([*ScriptDirectory.from_config(_config()).walk_revisions()])]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=postgres.needed)])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with nothing in it."""
    if request.param == "postgresql":
        return postgres.shared().database(empty=True)
    return f"sqlite:///{tmp_path / 'records.sqlite'}"


def through(url: str, act: Callable[[Connection], Any]) -> Any:
    """In one transaction, past the gateway."""
    kind = make_url(url)
    engine = create_engine(kind.set(drivername="postgresql+psycopg") if "postgresql" in url else kind)
    try:
        with engine.begin() as connection:
            return act(connection)
    finally:
        engine.dispose()


def older(url: str, revision: str) -> None:
    """Records as they were at a revision of the schema."""

    def make(connection: Connection) -> None:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    through(url, make)


def fill(connection: Connection) -> None:
    """A row in every table there is."""
    found = MetaData()
    found.reflect(connection)
    for table in found.sorted_tables:
        if table.name != "alembic_version":
            connection.execute(table.insert(), {column.name: _value(table, column) for column in table.columns})


def _value(table: Table, column: Column[Any]) -> Any:
    for name in (f"{table.name}.{column.name}", column.name):
        if name in GIVEN:
            return GIVEN[name] if GIVEN[name] is not NOW or _zoned(column) else NOW.replace(tzinfo=None)
    if column.nullable:
        return None
    for key in column.foreign_keys:
        return _value(key.column.table, key.column)
    if isinstance(column.type, JSON):
        return {}
    kind = column.type.python_type
    if kind is datetime:
        return NOW if _zoned(column) else NOW.replace(tzinfo=None)
    return {str: f"a {column.name}", bool: False, int: 1, bytes: b"x"}[kind]


def _zoned(column: Column[Any]) -> bool:
    return bool(getattr(column.type, "timezone", False))


def insert(url: str, statement: str, *rows: tuple[Any, ...]) -> None:
    named = [{f"v{n}": value for n, value in enumerate(row)} for row in rows]
    through(url, lambda connection: connection.execute(text(statement), named))


SORTED_ANEW = {
    "images_by_name", "images_by_size", "images_by_owner_and_name", "images_by_owner_and_size",
    "images_by_visibility_and_name", "images_by_visibility_and_size",
}  # fmt: skip
"""On PostgreSQL these hold what has no name or no size at another end, which the tables cannot say for both."""

IMAGE = """
INSERT INTO images (id, owner, status, visibility, protected, os_hidden, min_disk, min_ram, tags, properties,
                    created_at, updated_at)
VALUES (:v0, :v1, 'active', 'shared', false, false, 0, 0, '[]', '{}', '2026-11-22', '2026-11-22')
"""
BLOB = """
INSERT INTO blobs (id, image_id, store, key, state, writer, size, created_at)
VALUES (:v0, :v1, 'local', :v2, :v3, 'w1', :v4, '2026-11-22')
"""


@pytest.mark.parametrize("revision", REVISIONS)
def test_records_of_every_revision_are_read_by_this_one(empty: str, revision: str) -> None:
    """And the schema is then that of a new database."""
    older(empty, revision)
    through(empty, fill)

    async def scene(catalog: Catalog) -> None:
        async with catalog.begin() as tx:
            one = await tx.image("i1")
            assert one is not None
            assert (one.status, one.owner, one.tags, one.properties) == (Status.ACTIVE, "alice", ("t",), {"p": "v"})
            assert (one.stores, one.created_at) == (("local",), NOW)
            (work,) = await tx.imports("i1")
            assert (work.status, work.stores, work.created_at) == (ImportStatus.SUCCESS, ("local",), NOW)
            (bytes_,) = await tx.locations("i1")
            assert (bytes_.state, bytes_.size, bytes_.charged) == (BlobState.KEPT, 5, 5)
            assert await tx.used("alice", Counted.SIZE) == 5
            assert await tx.history("alice") == History(1, 0, NOW)
            labelled = ImageQuery(caller=ALICE, tags=("t",), filters=(Filter(field="p", operator="eq", values=("v",)),))
            assert [found.id for found in await tx.images(labelled)] == ["i1"]
            assert await tx.tree("a revision") == {}

    played(empty, scene)
    through(empty, compare)


def test_a_new_database_has_exactly_the_tables(empty: str) -> None:
    played(empty, added)
    through(empty, compare)


def compare(connection: Connection) -> None:
    differences = compare_metadata(MigrationContext.configure(connection), metadata)
    assert [one for one in differences if not (one[0].endswith("_index") and one[1].name in SORTED_ANEW)] == []
    for table in metadata.sorted_tables:
        made = {name: (columns, unique) for name, columns, unique in _indexes(connection, table)}
        assert made == {i.name: ([c.name for c in i.columns], bool(i.unique)) for i in table.indexes}, table.name


def _indexes(connection: Connection, table: Table) -> list[tuple[Any, ...]]:
    found = inspected(connection).get_indexes(table.name)
    mine = [index for index in found if not index.get("duplicates_constraint")]
    return [(index["name"], index["column_names"], bool(index["unique"])) for index in mine]


def test_the_newest_revision_is_known_by_name() -> None:
    assert ScriptDirectory.from_config(_config()).get_current_head() == migrations.HEAD


def test_what_is_held_already_is_charged(empty: str) -> None:
    older(empty, "0003")
    insert(empty, IMAGE, ("i1", "alice"), ("i2", "alice"), ("i3", None))
    insert(
        empty,
        BLOB,
        ("b0", "i1", "k0", "kept", 5),
        ("b1", "i2", "k1", "staged", 7),
        ("b2", "i2", "k2", "doomed", 11),
        ("b3", "i2", "k3", "writing", None),
        ("b4", "i3", "k4", "kept", 3),
    )

    async def scene(catalog: Catalog) -> list[int]:
        async with catalog.read() as tx:
            return [await tx.used(project, Counted.SIZE) for project in ("alice", None, "bob")]

    assert played(empty, scene) == [12, 3, 0]


def test_images_that_are_active_already_were_accepted_once(empty: str) -> None:
    older(empty, "0006")
    insert(empty, IMAGE, ("i1", "alice"), ("i2", "alice"), ("i3", None), ("i4", "bob"), ("i5", "carol"))
    insert(empty, "UPDATE images SET created_at = '2026-11-20 08:00:00.000000' WHERE id = :v0", ("i2",))
    insert(empty, "UPDATE images SET status = 'queued' WHERE id = :v0", ("i4",))
    insert(empty, "UPDATE images SET deleted_at = '2026-11-22' WHERE id = :v0", ("i5",))

    async def scene(catalog: Catalog) -> list[History]:
        async with catalog.read() as tx:
            return [await tx.history(project) for project in ("alice", "bob", "carol")]

    first = datetime(2026, 11, 20, 8, tzinfo=UTC)
    assert played(empty, scene) == [History(2, 0, first), History(), History()]


def revision(url: str) -> str:
    asked = text("SELECT version_num FROM alembic_version")
    return str(through(url, lambda connection: connection.execute(asked).scalar()))


async def opened(url: str, *, upgrade: bool) -> None:
    async with open_catalog(url, upgrade=upgrade):
        pass


@pytest.mark.parametrize("upgrade", [True, False], ids=["service", "command"])
def test_records_of_a_newer_release_are_left_alone(empty: str, upgrade: bool) -> None:
    older(empty, "head")
    insert(empty, "UPDATE alembic_version SET version_num = :v0", ("9999",))
    with pytest.raises(Conflict) as refused:
        asyncio.run(opened(empty, upgrade=upgrade))
    assert (refused.value.code, "9999" in refused.value.message) == ("catalog-version", True)
    assert revision(empty) == "9999"


def test_a_command_beside_an_older_service_changes_nothing_under_it(empty: str) -> None:
    older(empty, REVISIONS[-2])
    with pytest.raises(Conflict, match=REVISIONS[-2]):
        asyncio.run(opened(empty, upgrade=False))
    assert revision(empty) == REVISIONS[-2]
    asyncio.run(opened(empty, upgrade=True))
    assert revision(empty) == REVISIONS[-1]
    asyncio.run(opened(empty, upgrade=False))


def test_a_command_makes_no_tables_where_there_are_none(empty: str) -> None:
    with pytest.raises(Conflict, match="none"):
        asyncio.run(opened(empty, upgrade=False))
    assert not through(empty, lambda connection: inspected(connection).get_table_names())
