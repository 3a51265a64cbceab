"""What every catalog must do with resumable uploads. A database joins as it does `CatalogSuite`."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from gateway.model.errors import Conflict
from gateway.model.image import BlobState, Image, Move
from gateway.model.upload import Upload, UploadState
from gateway.model.usage import Counted
from gateway.ports import Catalog
from tests.catalog.made import LATER, NOW, added, blob, image, played


def upload(owner: Image, **values: Any) -> Upload:
    given = {"id": str(uuid4()), "image_id": owner.id, "user_id": "a", "store": "local", "created_at": NOW}
    return Upload(**{**given, "facts": {"user.roles": ("member",)}, "expires_at": LATER, **values})


async def begun(catalog: Catalog, *uploads: Upload) -> None:
    async with catalog.begin() as tx:
        for one in uploads:
            await tx.add_upload(one)


class UploadsSuite:
    def test_an_upload_comes_back_as_it_was_added(self, place: Path) -> None:
        owner = image()
        one = upload(owner, length=1 << 40, said="name ZA==", refusal={"code": "x"})

        async def scene(catalog: Catalog) -> None:
            await added(catalog, owner)
            await begun(catalog, one)
            async with catalog.read() as tx:
                assert await tx.upload(one.id) == one
                assert await tx.open_upload(owner.id) == one
                assert await tx.upload("nobody") is None

        played(place, scene)

    def test_an_image_has_one_living_upload(self, place: Path) -> None:
        owner = image()

        async def scene(catalog: Catalog) -> None:
            await added(catalog, owner)
            await begun(catalog, upload(owner), upload(owner, state=UploadState.CLOSED))
            with pytest.raises(Conflict):
                await begun(catalog, upload(owner, state=UploadState.WHOLE))

        played(place, scene)

    def test_of_sixteen_changes_at_once_one_counts(self, place: Path) -> None:
        owner = image()
        one = upload(owner)

        async def scene(catalog: Catalog) -> None:
            await added(catalog, owner)
            await begun(catalog, one)

            async def grow(number: int) -> Upload | None:
                async with catalog.begin() as tx:
                    return await tx.change_upload(one, {"offset": number})

            changed = [found for found in await asyncio.gather(*map(grow, range(1, 17))) if found]
            assert len(changed) == 1
            async with catalog.read() as tx:
                assert await tx.upload(one.id) == changed[0]
            assert changed[0] == replace(one, offset=changed[0].offset, version=1)

        played(place, scene)

    def test_a_move_that_is_none_changes_nothing(self, place: Path) -> None:
        owner = image()
        one = upload(owner, state=UploadState.CLOSED)

        async def scene(catalog: Catalog) -> None:
            await added(catalog, owner)
            await begun(catalog, one)
            async with catalog.begin() as tx:
                assert await tx.change_upload(one, {"state": UploadState.OPEN}) is None
                with pytest.raises(ValueError):
                    await tx.change_upload(one, {"image_id": "other"})
            async with catalog.read() as tx:
                assert await tx.upload(one.id) == one

        played(place, scene)

    def test_parts_are_in_the_order_of_their_bytes_and_charged(self, place: Path) -> None:
        owner = image()
        one = upload(owner)
        parts = [blob(owner) for _ in range(3)]

        async def scene(catalog: Catalog) -> None:
            await added(catalog, owner)
            await begun(catalog, one)
            async with catalog.begin() as tx:
                for start, part in zip((1 << 40, 0, 7), parts, strict=True):
                    await tx.add_blob(part)
                    await tx.move_blob(part.id, BlobState.PART, {"size": 7})
                    await tx.add_part(one.id, start, part.id)
                assert await tx.used("alice", Counted.SIZE) == 21
                assert await tx.used("alice", Counted.UNFINISHED) == 21
                await tx.move_blob(parts[0].id, BlobState.DOOMED)
            async with catalog.begin() as tx:
                assert [part.id for part in await tx.upload_parts(one.id)] == [parts[1].id, parts[2].id]
                assert await tx.used("alice", Counted.SIZE) == 14
                await tx.drop_upload(one.id)
                assert await tx.upload(one.id) is None
                assert list(await tx.upload_parts(one.id)) == []

        played(place, scene)

    def test_those_that_are_due(self, place: Path) -> None:
        owners = [image() for _ in range(5)]
        early = NOW - timedelta(seconds=1)
        expired, whole, orphan, closed, fresh = (
            upload(owners[0], expires_at=early),
            upload(owners[1], state=UploadState.WHOLE),
            upload(owners[2]),
            upload(owners[3], state=UploadState.CLOSED, expires_at=early),
            upload(owners[4]),
        )

        async def scene(catalog: Catalog) -> None:
            await added(catalog, *owners)
            await begun(catalog, expired, whole, orphan, closed, fresh)
            async with catalog.begin() as tx:
                await tx.move_image(owners[2].id, Move.DELETE, now=NOW)
            async with catalog.read() as tx:
                due = {found.id for found in await tx.due_uploads(NOW)}
            assert due == {expired.id, whole.id, orphan.id, closed.id}

        played(place, scene)
