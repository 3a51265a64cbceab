"""What a page costs must not depend on what is not on it: counted in what a database does, whatever the clock."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

import pytest
from sqlalchemy import event, insert, text

from gateway.api.listing import parse_listing
from gateway.catalog import open_catalog
from gateway.catalog.tables import images
from gateway.model.caller import Caller
from gateway.ports import Catalog, ImageQuery, Transaction
from tests.catalog import postgres
from tests.catalog.made import ADMIN, ALICE, NOW

SMALL, LARGE = 400, 8_000
LEAST = 20
EXPLAIN = "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON)"
OWNERS = ("alice", "bob", "carol", "dave")
VISIBILITIES = ("private", "private", "public", "private", "shared", "community", "private")
CALLERS = {"owner": ALICE, "stranger": Caller(project_id="nobody", user_id="n"), "admin": ADMIN}
LISTS = [
    "",
    "visibility=public",
    "visibility=private",
    "visibility=community",
    "visibility=all",
    "sort=name:asc",
    "sort=name:desc",
    "sort=size:asc",
    "sort=size:desc",
    "size_min=7&sort=size:asc",
    "size_min=7",
    "size_max=1000000&sort=name:asc",
]


def cloud(count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {
            "id": str(UUID(int=number * 7919)),
            "owner": OWNERS[number % len(OWNERS)],
            "status": "active",
            "name": f"image-{number * 31 % count:05}",
            "visibility": VISIBILITIES[number // 4 % len(VISIBILITIES)],
            "size": number * 17 % count + 1,
            "protected": False,
            "os_hidden": False,
            "min_disk": 0,
            "min_ram": 0,
            "tags": [],
            "properties": {},
            "created_at": NOW + timedelta(seconds=number),
            "updated_at": NOW,
        }


async def filled(catalog: Catalog, count: int) -> None:
    async with catalog.begin() as tx:
        await tx.native().execute(insert(images), list(cloud(count)))


async def costs(place: Path | str, count: int, queries: Sequence[ImageQuery]) -> list[int]:
    async with open_catalog(place) as catalog:
        await filled(catalog, count)
        if isinstance(place, str):
            await analyzed(catalog)
        async with catalog.read() as tx:
            return [await (rows if isinstance(place, str) else steps)(tx, query) for query in queries]


async def steps(tx: Transaction, query: ImageQuery, every: int = 10) -> int:
    """How many times SQLite has done so many of its steps."""
    ticks: list[None] = []
    driver = (await tx.native().get_raw_connection()).driver_connection
    await driver.set_progress_handler(lambda: ticks.append(None), every)
    await tx.images(query)
    await driver.set_progress_handler(None, every)
    return len(ticks)


async def analyzed(catalog: Catalog) -> None:
    """What autovacuum does within a minute."""
    async with catalog.begin() as tx:
        await tx.native().execute(text("ANALYZE"))


async def rows(tx: Transaction, query: ImageQuery) -> int:
    """How many rows PostgreSQL has handled, in all nodes of all plans."""
    asked: list[tuple[str, Any]] = []

    def keep(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        asked.append((statement, parameters))

    connection = tx.native().sync_connection
    event.listen(connection, "before_cursor_execute", keep)
    await tx.images(query)
    event.remove(connection, "before_cursor_execute", keep)
    plans = [await tx.native().exec_driver_sql(f"{EXPLAIN} {statement}", given) for statement, given in asked]
    return sum(handled(plan.scalar_one()[0]["Plan"]) for plan in plans)


def handled(node: dict[str, Any]) -> int:
    mine = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return int(mine * node["Actual Loops"]) + sum(map(handled, node.get("Plans", [])))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=postgres.needed)])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path | str, Path | str]:
    if request.param == "postgresql":
        return postgres.fresh(), postgres.fresh()
    return tmp_path / "small.sqlite", tmp_path / "large.sqlite"


@pytest.mark.parametrize("who", CALLERS)
def test_a_page_costs_the_same_in_a_large_cloud(places: tuple[Path | str, Path | str], who: str) -> None:
    queries = [parse_listing(parse_qsl(f"limit=20&{query}"), CALLERS[who]) for query in LISTS]
    small, large = (
        asyncio.run(costs(place, count, queries)) for place, count in zip(places, (SMALL, LARGE), strict=True)
    )
    grown = {query: (a, b) for query, a, b in zip(LISTS, small, large, strict=True) if b > 2 * max(a, LEAST)}
    assert grown == {}
