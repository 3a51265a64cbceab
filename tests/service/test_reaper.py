"""One pass of the reaper finds what is left over, however much there is that is right to stay."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gateway.catalog import open_catalog
from gateway.model.image import BlobState, Move, Status
from gateway.ports import Store
from gateway.service.reaper import PAGE, sweep
from gateway.service.site import Limits, Site
from tests.catalog.made import NOW, added, blob, image
from tests.serving.backing import catalog_url
from tests.serving.opened import opened

MANY = 2 * PAGE + 10


def site_of(catalog: Any, store: Store) -> Site:
    """What a pass asks of a site: records, a store, limits, and a clock that stands a minute after the records."""
    unused: Any = None
    clock: Any = SimpleNamespace(now=lambda: later(60))
    return Site(
        catalog=catalog, stores={"local": store}, default_store="local", methods={}, stages=frozenset(), policy=unused,
        decisions=unused, jobs=unused, seal=unused, clock=clock, limits=Limits(), writer="w2", new_id=unused,
    )  # fmt: skip


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_images_that_wait_rightly_do_not_hide_one_that_is_stuck(tmp_path: Path) -> None:
    async def scene() -> tuple[int, Any, Any]:
        async with open_catalog(catalog_url(tmp_path)) as catalog:
            waiting, stuck = [image() for _ in range(MANY)], image()
            await added(catalog, *waiting, stuck)
            async with catalog.begin() as tx:
                for one in waiting:
                    await tx.move_image(one.id, Move.STAGE, now=NOW)
                    await tx.add_blob(blob(one, state=BlobState.STAGED))
                await tx.move_image(stuck.id, Move.STAGE, now=later(1))
            swept = await sweep(site_of(catalog, opened(tmp_path)))
            async with catalog.read() as tx:
                return swept.images, await tx.image(stuck.id), await tx.image(waiting[0].id)

    settled, stuck, waiting = asyncio.run(scene())
    assert (settled, stuck.status, waiting.status) == (1, Status.QUEUED, Status.UPLOADING)


def test_blobs_that_cannot_go_do_not_hide_one_that_can(tmp_path: Path) -> None:
    async def scene() -> tuple[int, int]:
        async with open_catalog(catalog_url(tmp_path)) as catalog:
            owner = image()
            await added(catalog, owner)
            async with catalog.begin() as tx:
                for _ in range(MANY):
                    await tx.add_blob(blob(owner, state=BlobState.DOOMED, store="taken-out"))
                await tx.add_blob(blob(owner, state=BlobState.DOOMED, created_at=later(1)))
            site = site_of(catalog, opened(tmp_path))
            swept = await asyncio.wait_for(sweep(site), 60)
            async with catalog.read() as tx:
                return swept.blobs, len(await tx.doomed_blobs(MANY + 1))

    assert asyncio.run(scene()) == (1, MANY)
