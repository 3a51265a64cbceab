"""Blob rows (the intent and the state of bytes in a store) and location rows (which of them may be read)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, delete, exists, or_, select, update

from gateway.catalog import keyset
from gateway.catalog.tables import blobs, images, locations
from gateway.catalog.usage import Charges
from gateway.model.errors import Conflict, NotFound
from gateway.model.image import BLOB_MOVES, Blob, BlobState

_BLOBS = select(blobs)
_BY_AGE: keyset.Order = ((blobs.c.created_at, False), (blobs.c.id, False))
_SETTABLE = frozenset({"size", "verdict"})
_UNREAPED = (BlobState.WRITING.value, BlobState.PART.value, BlobState.STAGED.value, BlobState.KEPT.value)


def _blob(row: Row[Any]) -> Blob:
    values = dict(row._mapping)
    values["state"] = BlobState(values["state"])
    return Blob(**values)


def _columns(values: Mapping[str, Any] | None) -> dict[str, Any]:
    columns = dict(values or {})
    if strangers := columns.keys() - _SETTABLE:
        raise ValueError(f"not settable on a blob: {', '.join(sorted(strangers))}")
    return columns


def _charge(blob: Blob) -> int:
    """What a blob takes of its project's quota, by its state: reserved, held, or given back."""
    if blob.state is BlobState.DOOMED:
        return 0
    return blob.charged if blob.state is BlobState.WRITING else blob.size or 0


class Blobs(Charges):
    async def add_blob(self, blob: Blob) -> None:
        values = {column.name: getattr(blob, column.name) for column in blobs.c} | {"state": blob.state.value}
        values["charged"] = 0
        await self._hold(blob.image_id)
        refusal = Conflict(f"Blob {blob.id} cannot be added to store {blob.store}: its id or its key is in use")
        await self._add(blobs, values, refusal)
        await self._charge(_charge(blob), blobs.c.id == blob.id)

    async def blob(self, blob_id: str) -> Blob | None:
        await self._hold_of_blob(blob_id)
        row = await self._first(_BLOBS.where(blobs.c.id == blob_id))
        return _blob(row) if row else None

    async def move_blob(self, blob_id: str, state: BlobState, values: Mapping[str, Any] | None = None) -> Blob:
        await self._hold_of_blob(blob_id)
        sources = [before.value for before, afters in BLOB_MOVES.items() if state in afters]
        statement = update(blobs).where(blobs.c.id == blob_id, blobs.c.state.in_(sources))
        # Doomed bytes may still be under way; in any other state they are whole, and their writer has let go.
        let_go = {} if state is BlobState.DOOMED else {"writer": ""}
        moved = await self._change(statement.values(_columns(values) | {"state": state.value, **let_go}))
        blob = await self.blob(blob_id)
        if blob is None:
            raise NotFound(f"No blob found with ID {blob_id}")
        if not moved:
            raise Conflict(f"Blob {blob_id} is {blob.state} and cannot become {state}", code="blob-conflict")
        if blob.charged == (charge := _charge(blob)):
            return blob
        await self._charge(charge, blobs.c.id == blob_id)
        return replace(blob, charged=charge)

    async def drop_blob(self, blob_id: str) -> None:
        """A missing row is fine (the reaper repeats itself). Raises Conflict for a blob that is not doomed."""
        await self._hold_of_blob(blob_id)
        doomed = delete(blobs).where(blobs.c.id == blob_id, blobs.c.state == BlobState.DOOMED.value)
        await self._connection.execute(delete(locations).where(locations.c.blob_id.in_(_doomed_id(blob_id))))
        if not await self._change(doomed) and (blob := await self.blob(blob_id)):
            raise Conflict(f"Blob {blob_id} is {blob.state}; only doomed blobs are forgotten", code="blob-conflict")

    async def blobs(self, image_id: str) -> Sequence[Blob]:
        await self._hold(image_id)
        return await self._blobs(_BLOBS.where(blobs.c.image_id == image_id))

    async def kept_blobs(self, after: str | None = None, limit: int = 100) -> Sequence[Blob]:
        kept = _BLOBS.where(blobs.c.state == BlobState.KEPT.value).order_by(blobs.c.id).limit(limit)
        rows = await self._all(kept if after is None else kept.where(blobs.c.id > after))
        return [_blob(row) for row in rows]

    async def doomed_blobs(self, limit: int = 100, after: Blob | None = None) -> Sequence[Blob]:
        doomed = _BLOBS.where(blobs.c.state == BlobState.DOOMED.value)
        if after is not None:
            doomed = doomed.where(keyset.after(_BY_AGE, (after.created_at, after.id)))
        return await self._blobs(doomed.limit(limit))

    async def doomed_among(self, blob_ids: Sequence[str]) -> Sequence[str]:
        doomed = select(blobs.c.id).where(blobs.c.id.in_(blob_ids), blobs.c.state == BlobState.DOOMED.value)
        return [row.id for row in await self._all(doomed)]

    async def writing_blobs(self, not_by: str | None = None) -> Sequence[Blob]:
        writing = _BLOBS.where(blobs.c.state == BlobState.WRITING.value)
        return await self._blobs(writing if not_by is None else writing.where(blobs.c.writer != not_by))

    async def staged_without_image(self, limit: int = 100) -> Sequence[Blob]:
        orphan = exists().where(images.c.id == blobs.c.image_id, images.c.deleted_at.is_not(None))
        unread = ~exists().where(locations.c.blob_id == blobs.c.id)
        lost = or_(orphan, (blobs.c.state == BlobState.KEPT.value) & unread)
        return await self._blobs(_BLOBS.where(blobs.c.state.in_(_UNREAPED), lost).limit(limit))

    async def keys(self, store: str) -> Sequence[str]:
        rows = await self._all(select(blobs.c.key).where(blobs.c.store == store))
        return [row.key for row in rows]

    async def add_location(
        self, image_id: str, blob_id: str, *, now: datetime, metadata: Mapping[str, Any] | None = None
    ) -> None:
        await self._hold(image_id)
        values = {"image_id": image_id, "blob_id": blob_id, "created_at": now, "metadata": dict(metadata or {})}
        refusal = Conflict(f"Blob {blob_id} cannot become a location of image {image_id}: it is one, or it is gone")
        await self._add(locations, values, refusal)

    async def locations(self, image_id: str) -> Sequence[Blob]:
        """Only KEPT blobs: bytes that were never accepted, or wait for the reaper, cannot be read by any route."""
        await self._hold(image_id)
        kept = _BLOBS.join(locations).where(locations.c.image_id == image_id, blobs.c.state == BlobState.KEPT.value)
        rows = await self._all(kept.order_by(locations.c.created_at, blobs.c.id))
        return [_blob(row) for row in rows]

    async def location_metadata(self, image_id: str) -> Mapping[str, Mapping[str, Any]]:
        rows = await self._all(
            select(locations.c.blob_id, locations.c.metadata).where(locations.c.image_id == image_id)
        )
        return {row.blob_id: row.metadata for row in rows}

    async def describe_location(self, image_id: str, blob_id: str, metadata: Mapping[str, Any]) -> None:
        await self._hold(image_id)
        this = (locations.c.image_id == image_id, locations.c.blob_id == blob_id)
        await self._connection.execute(update(locations).where(*this).values(metadata=dict(metadata)))

    async def drop_locations(self, image_id: str) -> None:
        await self._hold(image_id)
        await self._connection.execute(delete(locations).where(locations.c.image_id == image_id))

    async def _blobs(self, statement: Select[Any]) -> Sequence[Blob]:
        rows = await self._all(statement.order_by(*keyset.ordered(_BY_AGE)))
        return [_blob(row) for row in rows]


def _doomed_id(blob_id: str) -> Select[Any]:
    return select(blobs.c.id).where(blobs.c.id == blob_id, blobs.c.state == BlobState.DOOMED.value)
