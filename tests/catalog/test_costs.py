"""What a page costs must not depend on what is not on it: counted in steps of the database, which no clock disturbs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

import pytest
from sqlalchemy import insert

from gateway.api.listing import parse_listing
from gateway.catalog import open_catalog
from gateway.catalog.tables import images
from gateway.model.caller import Caller
from gateway.ports import Catalog, ImageQuery, Transaction
from tests.catalog.made import ADMIN, ALICE, NOW

SMALL, LARGE = 400, 8_000
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


@asynccontextmanager
async def counted(tx: Transaction, every: int = 10) -> Any:
    """A list that grows by one each time the database has done so many of its steps."""
    ticks: list[None] = []
    driver = (await tx.native().get_raw_connection()).driver_connection
    await driver.set_progress_handler(lambda: ticks.append(None), every)
    yield ticks
    await driver.set_progress_handler(None, every)


async def costs(place: Path, count: int, queries: Sequence[ImageQuery]) -> list[int]:
    async with open_catalog(place) as catalog:
        await filled(catalog, count)
        async with catalog.read() as tx:
            return [await cost(tx, query) for query in queries]


async def cost(tx: Transaction, query: ImageQuery) -> int:
    async with counted(tx) as ticks:
        await tx.images(query)
        return len(ticks)


@pytest.mark.parametrize("who", CALLERS)
def test_a_page_costs_the_same_in_a_large_cloud(tmp_path: Path, who: str) -> None:
    queries = [parse_listing(parse_qsl(f"limit=20&{query}"), CALLERS[who]) for query in LISTS]
    small, large = (asyncio.run(costs(tmp_path / f"{count}.sqlite", count, queries)) for count in (SMALL, LARGE))
    grown = {query: (a, b) for query, a, b in zip(LISTS, small, large, strict=True) if b > 2 * max(a, 20)}
    assert grown == {}
