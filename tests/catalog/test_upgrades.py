"""Records of an earlier release, opened by this one."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from gateway.catalog import migrations, open_catalog
from gateway.model.trust import History
from gateway.model.usage import Counted

IMAGE = """
INSERT INTO images (id, owner, status, visibility, protected, os_hidden, min_disk, min_ram, tags, properties,
                    created_at, updated_at)
VALUES (?, ?, 'active', 'shared', 0, 0, 0, 0, '[]', '{}', '2026-11-22', '2026-11-22')
"""
BLOB = """
INSERT INTO blobs (id, image_id, store, key, state, writer, size, created_at)
VALUES (?, ?, 'local', ?, ?, 'w1', ?, '2026-11-22')
"""


def older(place: Path, revision: str) -> None:
    """Records as they were at a revision of the schema."""
    engine = create_engine(f"sqlite:///{place}")
    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(migrations.FOLDER))
        command.upgrade(config, revision)
    engine.dispose()


def test_what_is_held_already_is_charged(tmp_path: Path) -> None:
    place = tmp_path / "records.sqlite"
    older(place, "0003")
    with closing(sqlite3.connect(place)) as database, database:
        database.executemany(IMAGE, [("i1", "alice"), ("i2", "alice"), ("i3", None)])
        blobs = [
            ("kept", "i1", 5),
            ("staged", "i2", 7),
            ("doomed", "i2", 11),
            ("writing", "i2", None),
            ("kept", "i3", 3),
        ]
        database.executemany(
            BLOB, [(f"b{n}", image, f"k{n}", state, size) for n, (state, image, size) in enumerate(blobs)]
        )

    async def used() -> list[int]:
        async with open_catalog(place) as catalog, catalog.read() as tx:
            return [await tx.used(project, Counted.SIZE) for project in ("alice", None, "bob")]

    assert asyncio.run(used()) == [12, 3, 0]


def test_images_that_are_active_already_were_accepted_once(tmp_path: Path) -> None:
    place = tmp_path / "records.sqlite"
    older(place, "0006")
    with closing(sqlite3.connect(place)) as database, database:
        database.executemany(IMAGE, [("i1", "alice"), ("i2", "alice"), ("i3", None), ("i4", "bob"), ("i5", "carol")])
        database.execute("UPDATE images SET created_at = '2026-11-20 08:00:00.000000' WHERE id = 'i2'")
        database.execute("UPDATE images SET status = 'queued' WHERE id = 'i4'")
        database.execute("UPDATE images SET deleted_at = '2026-11-22' WHERE id = 'i5'")

    async def known() -> list[History]:
        async with open_catalog(place) as catalog, catalog.read() as tx:
            return [await tx.history(project) for project in ("alice", "bob", "carol")]

    first = datetime(2026, 11, 20, 8, tzinfo=UTC)
    assert asyncio.run(known()) == [History(2, 0, first), History(), History()]
