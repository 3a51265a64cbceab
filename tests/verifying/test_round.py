"""A round over many blobs: page after page, beside a service that deletes and a store that is away."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from gateway.model.errors import Unavailable
from gateway.model.image import Blob, BlobState
from gateway.ports import Catalog
from gateway.service.verifying import PAGE, Kind, Round, Verified, verify
from gateway.stores.filesystem import FilesystemStore
from tests.catalog.made import added, blob, image, played

BODY = b"the bytes of an image"
RECORD = {"size": len(BODY), "os_hash_algo": "sha256", "os_hash_value": hashlib.sha256(BODY).hexdigest()}


class Away(FilesystemStore):
    """A store that breaks off after its first bytes, as a server may."""

    def get(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        yield from super().get(key, 0, 5)
        raise Unavailable("Store local is away.", code="store-broken")


async def kept(catalog: Catalog, store: FilesystemStore, many: int, **values: Any) -> list[Blob]:
    """So many images with a whole blob each, in the order of the blobs' ids."""
    images = [image(**{**RECORD, **values}) for _ in range(many)]
    await added(catalog, *images)
    made = [blob(one) for one in images]
    async with catalog.begin() as tx:
        for one in made:
            store.put(one.key, [BODY])
            await tx.add_blob(one)
            await tx.move_blob(one.id, BlobState.STAGED, {"size": len(BODY)})
            await tx.move_blob(one.id, BlobState.KEPT)
    return sorted(made, key=lambda one: one.id)


def walk(catalog: Catalog, store: FilesystemStore, **more: Any) -> AsyncIterator[Verified]:
    return verify(Round(catalog=catalog, stores={"local": store}, monotonic=time.monotonic, **more))


def test_every_page_is_read_and_a_round_goes_on_behind_any_blob(tmp_path: Path) -> None:
    async def scene(catalog: Catalog) -> None:
        store = FilesystemStore("local", tmp_path / "blobs")
        made = await kept(catalog, store, 2 * PAGE + 1)
        found = [one async for one in walk(catalog, store)]
        assert [one.blob.id for one in found] == [one.id for one in made]
        assert {one.kind for one in found} == {Kind.SOUND}
        rest = [one.blob.id async for one in walk(catalog, store, after=made[PAGE - 2].id)]
        assert rest == [one.id for one in made[PAGE - 1 :]]

    played(tmp_path / "records.sqlite", scene)


def test_an_image_that_is_deleted_meanwhile_is_no_loss(tmp_path: Path) -> None:
    async def scene(catalog: Catalog) -> None:
        store = FilesystemStore("local", tmp_path / "blobs")
        first, second, third = await kept(catalog, store, 3)
        found = []
        async for one in walk(catalog, store):
            found.append(one.blob.id)
            if one.blob.id == first.id:
                store.delete(second.key)
                async with catalog.begin() as tx:
                    await tx.move_blob(second.id, BlobState.DOOMED)
        assert found == [first.id, third.id]

    played(tmp_path / "records.sqlite", scene)


def test_a_store_that_breaks_off_proves_nothing(tmp_path: Path) -> None:
    async def scene(catalog: Catalog) -> None:
        store = Away("local", tmp_path / "blobs")
        await kept(catalog, store, 1)
        (found,) = [one async for one in walk(catalog, store)]
        assert (found.kind, found.why) == (Kind.UNREAD, "Store local is away.")

    played(tmp_path / "records.sqlite", scene)


def test_what_nobody_recorded_cannot_be_compared(tmp_path: Path) -> None:
    async def scene(catalog: Catalog) -> None:
        store = FilesystemStore("local", tmp_path / "blobs")
        await kept(catalog, store, 1, os_hash_algo=None, os_hash_value=None)
        (found,) = [one async for one in walk(catalog, store)]
        assert found.kind is Kind.UNKNOWN

    played(tmp_path / "records.sqlite", scene)
