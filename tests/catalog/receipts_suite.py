"""What every catalog must do with receipts. A database joins as it does `CatalogSuite`."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.model.errors import Conflict
from gateway.model.receipt import Receipt, Signature
from gateway.ports import Catalog
from tests.catalog.made import LATER, NOW, added, image, played

FIRST, SECOND = Signature("k1", "AAAA"), Signature("k2", "BBBB")


class ReceiptsSuite:
    def test_a_receipt_comes_back_to_the_byte(self, place: Path) -> None:
        one = image()
        kept = Receipt(image_id=one.id, statement='{"a":"\\u0000 ü"}', at=NOW, signature=FIRST)

        async def scene(catalog: Catalog) -> None:
            await added(catalog, one)
            async with catalog.begin() as tx:
                assert await tx.receipt(one.id) is None
                await tx.add_receipt(kept)
            async with catalog.read() as tx:
                assert await tx.receipt(one.id) == kept
                assert list(await tx.waiting_receipts()) == []

        played(place, scene)

    def test_an_image_has_one(self, place: Path) -> None:
        one = image()

        async def scene(catalog: Catalog) -> None:
            await added(catalog, one)
            async with catalog.begin() as tx:
                await tx.add_receipt(Receipt(image_id=one.id, statement="1", at=NOW))
            with pytest.raises(Conflict):
                async with catalog.begin() as tx:
                    await tx.add_receipt(Receipt(image_id=one.id, statement="2", at=LATER, signature=FIRST))
            async with catalog.read() as tx:
                assert await tx.receipt(one.id) == Receipt(image_id=one.id, statement="1", at=NOW)

        played(place, scene)

    def test_those_that_wait_are_signed_once_oldest_first(self, place: Path) -> None:
        old, new = image(), image()

        async def scene(catalog: Catalog) -> None:
            await added(catalog, old, new)
            async with catalog.begin() as tx:
                await tx.add_receipt(Receipt(image_id=new.id, statement="n", at=LATER))
                await tx.add_receipt(Receipt(image_id=old.id, statement="o", at=NOW))
                assert [one.image_id for one in await tx.waiting_receipts()] == [old.id, new.id]
                assert [one.image_id for one in await tx.waiting_receipts(1)] == [old.id]
                await tx.sign_receipt(old.id, FIRST)
                await tx.sign_receipt(old.id, SECOND)
            async with catalog.read() as tx:
                signed = await tx.receipt(old.id)
                assert signed is not None
                assert signed.signature == FIRST
                assert [one.image_id for one in await tx.waiting_receipts()] == [new.id]

        played(place, scene)
