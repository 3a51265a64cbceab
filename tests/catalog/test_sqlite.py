from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.catalog import open_catalog, sqlite
from gateway.model.errors import BadRequest, Unavailable
from gateway.ports import Catalog
from tests.catalog.conformance import CatalogSuite
from tests.catalog.made import added, image, played
from tests.catalog.members_suite import MembersSuite
from tests.catalog.races_suite import RacesSuite
from tests.catalog.receipts_suite import ReceiptsSuite
from tests.catalog.stops_suite import StopsSuite
from tests.catalog.uploads_suite import UploadsSuite


class TestSqlite(CatalogSuite, MembersSuite, RacesSuite, ReceiptsSuite, StopsSuite, UploadsSuite):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        return tmp_path / "records.sqlite"


def test_the_file_is_its_owners_alone_and_commits_reach_the_disk(tmp_path: Path) -> None:
    place = tmp_path / "new" / "records.sqlite"

    async def scene(catalog: Catalog) -> None:
        async with catalog.begin() as tx:
            settings = [(await tx.native().exec_driver_sql(f"PRAGMA {name}")).scalar() for name in ("synchronous",)]
            assert settings == [2]
            assert (await tx.native().exec_driver_sql("PRAGMA journal_mode")).scalar() == "wal"
            assert (await tx.native().exec_driver_sql("PRAGMA foreign_keys")).scalar() == 1

    played(place, scene)
    assert place.stat().st_mode & 0o777 == 0o600


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    async def scene(catalog: Catalog) -> None:
        with pytest.raises(Unavailable):
            async with catalog.read() as tx:
                await tx.add_image(image())

    played(tmp_path / "r.sqlite", scene)


def test_a_locked_database_is_unavailable_and_works_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "WAIT_SECONDS", 0.1)
    place = tmp_path / "r.sqlite"

    async def scene(catalog: Catalog) -> None:
        other = sqlite3.connect(place, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable) as refused:
            await added(catalog, image())
        assert refused.value.code == "catalog-busy"
        async with catalog.read() as tx:
            assert list(await tx.open_imports()) == []
        other.close()
        await added(catalog, image())

    played(place, scene)


def test_a_writer_waits_for_another_engine(tmp_path: Path) -> None:
    place = tmp_path / "r.sqlite"

    async def scene(catalog: Catalog) -> None:
        other = sqlite3.connect(place, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(added(catalog, image()))
        done, _ = await asyncio.wait({writing}, timeout=0.2)
        assert not done
        other.execute("COMMIT")
        other.close()
        await writing

    played(place, scene)


def test_our_own_writers_wait_for_each_other_longer_than_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While many upload, the processors are busy and a write takes long: nobody's bytes are refused for that."""
    monkeypatch.setattr(sqlite, "WAIT_SECONDS", 0.1)

    async def scene(catalog: Catalog) -> None:
        async with catalog.begin():
            waiting = [asyncio.create_task(added(catalog, image())) for _ in range(16)]
            done, _ = await asyncio.wait(waiting, timeout=0.5, return_when=asyncio.FIRST_COMPLETED)
            assert not done
        await asyncio.gather(*waiting)

    played(tmp_path / "r.sqlite", scene)


def test_a_full_disk_is_unavailable_and_loses_nothing(tmp_path: Path) -> None:
    place = tmp_path / "r.sqlite"
    one = image()

    async def scene(catalog: Catalog) -> None:
        await added(catalog, one)
        async with catalog.begin() as tx:
            pages = (await tx.native().exec_driver_sql("PRAGMA page_count")).scalar()
            await tx.native().exec_driver_sql(f"PRAGMA max_page_count={pages}")
        with pytest.raises(Unavailable) as refused:
            await added(catalog, image(properties={"big": "x" * 1_000_000}))
        assert refused.value.code == "catalog-full"
        async with catalog.read() as tx:
            assert await tx.image(one.id) == one

    played(place, scene)


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    place = tmp_path / "r.sqlite"
    place.write_bytes(b"not a database, not at all" * 1000)
    with pytest.raises(Unavailable) as refused:
        played(place, lambda catalog: added(catalog, image()))
    assert refused.value.code == "catalog-broken"


def test_urls_name_files_and_databases_that_are_known(tmp_path: Path) -> None:
    played(f"sqlite:///{tmp_path}/u.sqlite", lambda catalog: added(catalog, image()))
    assert (tmp_path / "u.sqlite").exists()
    with pytest.raises(BadRequest) as refused:
        played("mysql://user:secret@host/db", lambda catalog: added(catalog, image()))
    assert "secret" not in refused.value.message


def test_processes_that_start_together_find_one_schema(tmp_path: Path) -> None:
    async def together() -> None:
        async def start() -> None:
            async with open_catalog(tmp_path / "r.sqlite") as catalog:
                await added(catalog, image())

        await asyncio.gather(*(start() for _ in range(3)))

    asyncio.run(together())


WRITER = """
import asyncio, sys
from tests.catalog.made import added, image
from gateway.catalog import open_catalog

async def write():
    async with open_catalog(sys.argv[1]) as catalog:
        while True:
            one = image(tags=("a", "b"), properties={"k": "v"})
            await added(catalog, one)
            print(one.id, flush=True)

asyncio.run(write())
"""


@pytest.mark.parametrize("after", [1, 7, 40])
def test_every_acknowledged_write_survives_a_kill(tmp_path: Path, after: int) -> None:
    place = tmp_path / "r.sqlite"
    command = [sys.executable, "-c", WRITER, str(place)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as writer:
        assert writer.stdout is not None
        acknowledged = [writer.stdout.readline().strip() for _ in range(after)]
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged += [line.strip() for line in writer.stdout if line.endswith("\n")]

    async def scene(catalog: Catalog) -> None:
        async with catalog.read() as tx:
            for image_id in acknowledged:
                one = await tx.image(image_id)
                assert one is not None
                assert (one.tags, one.properties) == (("a", "b"), {"k": "v"})
        await added(catalog, image())

    played(place, scene)
