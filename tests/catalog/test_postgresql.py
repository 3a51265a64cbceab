"""PostgreSQL: the suite that SQLite passes, and what a server and the way to it can do to its clients."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.catalog import open_catalog, postgresql
from gateway.catalog.engine import SqlCatalog
from gateway.model.errors import Unavailable
from gateway.ports import Catalog
from tests.catalog import postgres
from tests.catalog.cable import cable
from tests.catalog.conformance import CatalogSuite
from tests.catalog.made import LATER, added, image, played
from tests.catalog.members_suite import MembersSuite
from tests.catalog.races_suite import RacesSuite
from tests.catalog.receipts_suite import ReceiptsSuite
from tests.catalog.stops_suite import StopsSuite
from tests.catalog.uploads_suite import UploadsSuite

pytestmark = postgres.needed


class TestPostgresql(CatalogSuite, MembersSuite, RacesSuite, ReceiptsSuite, StopsSuite, UploadsSuite):
    @pytest.fixture
    def place(self) -> str:
        return postgres.fresh()


@pytest.fixture
def own() -> Iterator[postgres.Server]:
    """A server that may be stopped, and that keeps what it has acknowledged."""
    with postgres.server() as server:
        yield server


def with_options(url: str, **settings: str) -> str:
    return url + "?options=" + "%20".join(f"-c%20{name}%3D{value}" for name, value in settings.items())


async def there(catalog: Catalog, image_id: str) -> bool:
    async with catalog.read() as tx:
        return await tx.image(image_id) is not None


def test_sessions_are_known_by_name_and_do_not_wait_for_ever() -> None:
    async def scene(catalog: Catalog) -> None:
        async with catalog.begin() as tx:
            shown = {
                name: (await tx.native().execute(text(f"SHOW {name}"))).scalar()
                for name in ("application_name", "transaction_isolation", "statement_timeout", "timezone")
            }
        assert shown == {
            "application_name": "import-gateway",
            "transaction_isolation": "read committed",
            "statement_timeout": "30s",
            "timezone": "UTC",
        }

    played(postgres.fresh(), scene)


def test_a_reader_cannot_write() -> None:
    async def scene(catalog: Catalog) -> None:
        with pytest.raises(Unavailable):
            async with catalog.read() as tx:
                await tx.add_image(image())

    played(postgres.fresh(), scene)


def test_a_server_that_is_not_there_is_said_without_its_address(caplog: pytest.LogCaptureFixture) -> None:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with pytest.raises(Unavailable) as refused:
            played(f"postgresql://gateway:s3cret@127.0.0.1:{port}/records", added)
    assert refused.value.code == "catalog-unreachable"
    assert "127.0.0.1" not in refused.value.message + refused.value.remedy
    assert "refused" in caplog.text
    assert "s3cret" not in caplog.text + repr(refused.value)


def test_a_server_that_was_restarted_is_found_again(own: postgres.Server) -> None:
    one, two, three = image(), image(), image()

    async def scene(catalog: Catalog) -> None:
        await added(catalog, one)
        own.stop(immediately=True)
        with pytest.raises(Unavailable) as refused:
            await added(catalog, two)
        assert refused.value.code == "catalog-unreachable"
        with pytest.raises(Unavailable):
            await there(catalog, one.id)
        own.start()
        assert await there(catalog, one.id)
        await added(catalog, three)
        own.stop()
        own.start()
        await added(catalog, two)
        assert await there(catalog, three.id)

    played(own.database(), scene)


def test_a_session_ended_in_a_transaction_leaves_nothing(own: postgres.Server) -> None:
    one = image()

    async def end(catalog: Catalog, kind: str) -> None:
        async with catalog.begin() if kind == "begin" else catalog.read() as tx:
            pid = (await tx.native().execute(text("SELECT pg_backend_pid()"))).scalar()
            if kind == "begin":
                await tx.add_image(one)
            own.run(f"SELECT pg_terminate_backend({pid}, 5000)")
            await tx.image(one.id)

    async def scene(catalog: Catalog) -> None:
        for kind in ("begin", "read"):
            with pytest.raises(Unavailable) as refused:
                await end(catalog, kind)
            assert refused.value.code == "catalog-unreachable"
        assert not await there(catalog, one.id)
        await added(catalog, one)

    played(own.database(), scene)


@pytest.mark.parametrize("setting", ["lock_timeout", "statement_timeout"])
def test_what_waits_too_long_is_busy_and_works_again(setting: str) -> None:
    one = image()

    async def scene(catalog: Catalog) -> None:
        await added(catalog, one)
        async with catalog.begin() as tx:
            await tx.image(one.id)
            with pytest.raises(Unavailable) as refused:
                async with catalog.begin() as other:
                    await other.change_image(one.id, {"name": "n"}, now=LATER)
        assert refused.value.code == "catalog-busy"
        async with catalog.begin() as tx:
            await tx.change_image(one.id, {"name": "n"}, now=LATER)

    played(with_options(postgres.fresh(), **{setting: "1s"}), scene)


def test_a_pool_without_a_free_connection_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "WAIT_SECONDS", 1)

    async def run() -> None:
        async with open_catalog(postgres.fresh(), pool_size=1) as catalog, catalog.begin():
            with pytest.raises(Unavailable) as refused:
                await added(catalog, image())
            assert refused.value.code == "catalog-busy"

    asyncio.run(run())


def test_who_waits_in_a_circle_is_told_to_come_again() -> None:
    """It takes a transaction about two images; there is none, and if there ever is, it is not an error of its own."""
    one, two = image(), image()

    async def scene(catalog: Catalog) -> None:
        await added(catalog, one, two)
        holding = asyncio.Barrier(2)

        async def both(first: str, second: str) -> str:
            try:
                async with catalog.begin() as tx:
                    await tx.image(first)
                    await holding.wait()
                    await tx.change_image(second, {"name": first}, now=LATER)
            except Unavailable as refused:
                return refused.code
            return "done"

        ends = await asyncio.gather(both(one.id, two.id), both(two.id, one.id))
        assert sorted(ends) == ["catalog-busy", "done"]

    played(postgres.fresh(), scene)


def test_what_goes_on_after_a_failed_statement_is_an_error_of_ours() -> None:
    async def scene(catalog: Catalog) -> None:
        async def go_on() -> None:
            async with catalog.begin() as tx:
                with pytest.raises(Exception, match="zork"):
                    await tx.native().execute(text("SELECT zork"))
                await tx.stops()

        with pytest.raises(Exception, match="transaction is aborted") as raised:
            await go_on()
        assert not isinstance(raised.value, Unavailable)

    played(postgres.fresh(), scene)


@pytest.mark.parametrize("arrives", [False, True])
def test_a_connection_lost_at_its_commit(arrives: bool) -> None:
    """It is said that nobody knows; looking tells, and doing it again does not do it twice."""
    one = image()
    with cable(postgres.fresh()) as (line, url):

        async def scene(catalog: Catalog) -> None:
            line.cut(1, arrives=arrives)
            with pytest.raises(Unavailable, match="did not answer") as refused:
                await added(catalog, one)
            assert refused.value.code == "catalog-unreachable"
            assert "look before you repeat" in refused.value.remedy
            assert await there(catalog, one.id) is arrives
            if not arrives:
                await added(catalog, one)
            assert await there(catalog, one.id)

        played(url, scene)


def test_what_a_paused_gateway_holds_is_given_to_others() -> None:
    """The server ends a transaction that nobody goes on with."""
    one = image()
    url = postgres.fresh()

    async def late(first: Catalog, second: Catalog) -> None:
        async with first.begin() as tx:
            await tx.change_image(one.id, {"name": "late"}, now=LATER)
            async with second.begin() as other:
                await other.change_image(one.id, {"name": "in time"}, now=LATER)
            await tx.image(one.id)

    async def run() -> None:
        paused = with_options(url, idle_in_transaction_session_timeout="1s")
        async with open_catalog(paused) as first, open_catalog(url) as second:
            await added(first, one)
            with pytest.raises(Unavailable) as refused:
                await late(first, second)
            assert refused.value.code == "catalog-unreachable"
            async with first.read() as tx:
                found = await tx.image(one.id)
            assert found is not None
            assert found.name == "in time"

    asyncio.run(run())


def test_the_password_is_read_from_its_file_for_each_connection(own: postgres.Server, tmp_path: Path) -> None:
    url = own.database()
    own.run("CREATE ROLE locked LOGIN SUPERUSER PASSWORD 'first'")
    file = tmp_path / "password"
    file.write_text("first\n")

    async def run() -> None:
        async with open_catalog(url.replace("gateway@", "locked@"), password_file=file) as catalog:
            await added(catalog, image())
            own.run("ALTER ROLE locked PASSWORD 'second'")
            own.stop()
            own.start()
            with pytest.raises(Unavailable) as refused:
                await added(catalog, image())
            assert "first" not in str(refused.value.__cause__)
            file.unlink()
            with pytest.raises(Unavailable):
                await added(catalog, image())
            file.write_text("second")
            await added(catalog, image())

    asyncio.run(run())


def test_no_log_and_no_repr_has_a_password(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = postgres.fresh().replace("gateway@", "gateway:s3cret@")

    async def run() -> str:
        async with open_catalog(url) as catalog:
            await added(catalog, image())
            assert isinstance(catalog, SqlCatalog)
            return repr(vars(catalog))

    assert "s3cret" not in asyncio.run(run()) + caplog.text


def test_every_acknowledged_write_survives_the_servers_crash(own: postgres.Server) -> None:
    acknowledged: list[str] = []

    async def write(catalog: Catalog, enough: asyncio.Event) -> None:
        for _ in range(1000):
            one = image(tags=("a",))
            await added(catalog, one)
            acknowledged.append(one.id)
            if len(acknowledged) >= 20:
                enough.set()

    async def scene(catalog: Catalog) -> None:
        enough = asyncio.Event()
        writing = [asyncio.create_task(write(catalog, enough)) for _ in range(4)]
        await enough.wait()
        await asyncio.to_thread(own.stop, immediately=True)
        ends = await asyncio.gather(*writing, return_exceptions=True)
        assert {type(end) for end in ends} == {Unavailable}
        own.start()
        assert [await there(catalog, image_id) for image_id in acknowledged] == [True] * len(acknowledged)

    played(own.database(), scene)


def test_a_server_without_tls_is_refused_where_the_url_wants_it() -> None:
    with pytest.raises(Unavailable) as refused:
        played(postgres.fresh() + "?sslmode=require", added)
    assert refused.value.code == "catalog-unreachable"
    assert "SSL" in str(refused.value.__cause__)


def test_gateways_that_start_together_make_one_schema() -> None:
    url = postgres.shared().database(empty=True)

    async def together() -> None:
        async def start() -> None:
            async with open_catalog(url) as catalog:
                await added(catalog, image())

        await asyncio.gather(*(start() for _ in range(3)))

    asyncio.run(together())


def test_text_compares_by_bytes_whatever_the_databases_locale() -> None:
    url = postgres.shared().database(empty=True)
    played(url, added)
    name = url.rsplit("/", 1)[1]
    others = postgres.shared().run(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' AND data_type"
        " IN ('character varying', 'text') AND collation_name IS DISTINCT FROM 'C' AND table_name <> 'alembic_version'",
        name,
    )
    assert others == []
