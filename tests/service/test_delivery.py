"""A delivery that is given up in the middle: its thread has ended, and nothing is left, before anybody cleans up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway.catalog import open_catalog
from gateway.jobs.heartbeat import Lease
from gateway.model.image import BlobState
from gateway.ports import Block
from gateway.service.delivery import Delivery, deliver
from gateway.stages.pipeline import Declared, Pipeline, Tools
from tests.catalog.made import added, blob, image
from tests.serving.backing import catalog_url
from tests.serving.opened import opened
from tests.serving.process import LONGEST


class Site:
    """What `deliver` asks of a site: the records, and that nobody thinks it dead."""

    def __init__(self, catalog: Any) -> None:
        self.catalog = catalog
        self.lease = Lease()
        self.landed: dict[str, Any] = {}


def test_a_cancelled_delivery_is_over_when_it_returns(tmp_path: Path) -> None:
    store = opened(tmp_path)
    waiting, woken, closed = threading.Event(), threading.Event(), threading.Event()

    def blocks() -> Iterator[Block]:
        try:
            yield b"x" * 1000
            waiting.set()
            assert woken.wait(LONGEST)
            yield b"y" * 1000
        finally:
            closed.set()

    async def scene() -> None:
        async with open_catalog(catalog_url(tmp_path)) as catalog:
            owner = image()
            wanted = blob(owner)
            await added(catalog, owner)
            async with catalog.begin() as tx:
                await tx.add_blob(wanted)
            pipeline = Pipeline((), declared=Declared("raw", "bare"), max_size=None, hashes=("md5",), tools=Tools())
            delivery = Delivery(blob=wanted, store=store, pipeline=pipeline)
            task = asyncio.create_task(deliver(Site(catalog), delivery, blocks, woken.set))  # type: ignore[arg-type]
            await asyncio.to_thread(waiting.wait, LONGEST)
            task.cancel()
            (outcome,) = await asyncio.gather(task, return_exceptions=True)
            assert isinstance(outcome, asyncio.CancelledError)
            assert closed.is_set()
            async with catalog.read() as tx:
                left = await tx.blob(wanted.id)
            assert left is not None
            assert left.state is BlobState.DOOMED

    asyncio.run(scene())
    assert list(store.keys()) == []
