"""Receipts: one for each image that an import or an upload made active."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, and_, select, update

from gateway.catalog.rows import Rows
from gateway.catalog.tables import receipts
from gateway.model.errors import Conflict
from gateway.model.receipt import Receipt, Signature

_WAITING = receipts.c.signature.is_(None)


def _receipt(row: Row[Any]) -> Receipt:
    signature = Signature(row.keyid, row.signature) if row.signature is not None else None
    return Receipt(image_id=row.image_id, statement=row.statement, at=row.at, signature=signature)


class Receipts(Rows):
    async def add_receipt(self, receipt: Receipt) -> None:
        values = {
            "image_id": receipt.image_id,
            "statement": receipt.statement,
            "at": receipt.at,
            "keyid": receipt.signature and receipt.signature.keyid,
            "signature": receipt.signature and receipt.signature.value,
        }
        await self._add(receipts, values, Conflict(f"Image {receipt.image_id} has its receipt already"))

    async def receipt(self, image_id: str) -> Receipt | None:
        row = await self._first(select(receipts).where(receipts.c.image_id == image_id))
        return _receipt(row) if row else None

    async def waiting_receipts(self, limit: int = 100) -> Sequence[Receipt]:
        found = select(receipts).where(_WAITING).order_by(receipts.c.at, receipts.c.image_id).limit(limit)
        return [_receipt(row) for row in await self._all(found)]

    async def sign_receipt(self, image_id: str, signature: Signature) -> None:
        this = update(receipts).where(and_(receipts.c.image_id == image_id, _WAITING))
        await self._change(this.values(keyid=signature.keyid, signature=signature.value))
