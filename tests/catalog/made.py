"""Records to test with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from gateway.catalog import open_catalog
from gateway.model.caller import Caller
from gateway.model.image import Blob, Image
from gateway.model.imports import Import
from gateway.ports import Catalog

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
ALICE = Caller(project_id="alice", user_id="a")
BOB = Caller(project_id="bob", user_id="b")
ADMIN = Caller(project_id="root", user_id="r", roles=("admin", "member", "reader"))


def image(**values: Any) -> Image:
    return Image(**{"id": str(uuid4()), "owner": "alice", "created_at": NOW, "updated_at": NOW, **values})


def blob(owner: Image, **values: Any) -> Blob:
    key = str(uuid4())
    given = {"id": key, "image_id": owner.id, "store": "local", "key": key, "writer": "w1", "created_at": NOW}
    return Blob(**(given | values))


def work(owner: Image, **values: Any) -> Import:
    given = {"id": str(uuid4()), "image_id": owner.id, "owner": "alice", "user_id": "a", "method": "web-download"}
    given |= {"stores": ("local",), "decision_id": "d1", "revision": "sha256:1", "created_at": NOW, "updated_at": NOW}
    return Import(**(given | values))


def played(place: Path | str, scene: Callable[[Catalog], Awaitable[Any]]) -> Any:
    """Run a scene on the catalog at a place."""

    async def play() -> Any:
        async with open_catalog(place) as catalog:
            return await scene(catalog)

    return asyncio.run(play())


async def added(catalog: Catalog, *images: Image) -> None:
    async with catalog.begin() as tx:
        for one in images:
            await tx.add_image(one)
