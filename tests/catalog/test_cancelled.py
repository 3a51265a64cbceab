"""A transaction whose task is cancelled leaves nothing open behind it."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from gateway.catalog import open_catalog
from gateway.catalog.engine import SqlCatalog
from gateway.ports import Transaction


def transaction(catalog: SqlCatalog, kind: str) -> AbstractAsyncContextManager[Transaction]:
    return catalog.begin() if kind == "begin" else catalog.read()


async def look(catalog: SqlCatalog, kind: str) -> None:
    async with transaction(catalog, kind) as tx:
        await tx.open_imports()


async def cancelled_after(catalog: SqlCatalog, kind: str, turns: int) -> bool:
    """Whether it was cancelled before it was done; `turns` of the event loop after its start."""
    task = asyncio.create_task(look(catalog, kind))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    return task.cancelled()


@pytest.mark.parametrize("kind", ["begin", "read"])
def test_the_catalog_serves_on_after_a_cancelled_transaction(either: Path | str, kind: str) -> None:
    async def walk() -> list[bool]:
        async with open_catalog(either) as catalog:
            await look(catalog, kind)
            ends = []
            for turns in range(1, 40):
                ends.append(await cancelled_after(catalog, kind, turns))
                await look(catalog, "begin")
                await look(catalog, "read")
            return ends

    assert any(asyncio.run(walk()))
