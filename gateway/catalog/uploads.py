"""Resumable uploads and the order of their parts. A record changes by compare-and-swap on its version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, delete, insert, or_, select, update

from gateway.catalog.rows import Rows
from gateway.catalog.tables import blobs, images
from gateway.catalog.upload_tables import upload_parts, uploads
from gateway.model.errors import Conflict, UploadOpen
from gateway.model.image import Blob, BlobState
from gateway.model.upload import LIVING, UPLOAD_MOVES, Upload, UploadState

_UPLOADS = select(uploads)
_LIVING = uploads.c.state.in_(sorted(state.value for state in LIVING))
_SETTABLE = frozenset({"state", "length", "offset", "blob_id", "refusal", "expires_at"})


def _upload(row: Row[Any]) -> Upload:
    values = dict(row._mapping)
    values["facts"] = {key: tuple(one) if isinstance(one, list) else one for key, one in values["facts"].items()}
    return Upload(**values | {"state": UploadState(values["state"])})


class Uploads(Rows):
    async def add_upload(self, upload: Upload) -> None:
        await self._hold(upload.image_id)
        values = {column.name: getattr(upload, column.name) for column in uploads.c} | {"state": upload.state.value}
        await self._hold(upload.image_id)
        refusal = Conflict(f"Image {upload.image_id} has an open upload.", code=UploadOpen.code)
        await self._add(uploads, values | {"facts": dict(upload.facts)}, refusal)

    async def upload(self, upload_id: str) -> Upload | None:
        of = select(uploads.c.image_id).where(uploads.c.id == upload_id).scalar_subquery()
        await self._hold_by(upload_id, images.c.id == of)
        row = await self._first(_UPLOADS.where(uploads.c.id == upload_id))
        return _upload(row) if row else None

    async def open_upload(self, image_id: str) -> Upload | None:
        await self._hold(image_id)
        await self._hold(image_id)
        row = await self._first(_UPLOADS.where(uploads.c.image_id == image_id, _LIVING))
        return _upload(row) if row else None

    async def change_upload(self, upload: Upload, values: Mapping[str, Any]) -> Upload | None:
        if strangers := values.keys() - _SETTABLE:
            raise ValueError(f"not settable on an upload: {', '.join(sorted(strangers))}")
        state = UploadState(values.get("state", upload.state))
        if state is not upload.state and state not in UPLOAD_MOVES[upload.state]:
            return None
        await self._hold(upload.image_id)
        await self._hold(upload.image_id)
        this = update(uploads).where(uploads.c.id == upload.id, uploads.c.version == upload.version)
        columns = {**values, "state": state.value, "version": upload.version + 1}
        return await self.upload(upload.id) if await self._change(this.values(columns)) else None

    async def add_part(self, upload_id: str, start: int, blob_id: str) -> None:
        await self._connection.execute(
            insert(upload_parts), {"upload_id": upload_id, "start": start, "blob_id": blob_id}
        )

    async def upload_parts(self, upload_id: str) -> Sequence[Blob]:
        found = select(blobs).join(upload_parts, upload_parts.c.blob_id == blobs.c.id)
        kept = found.where(upload_parts.c.upload_id == upload_id, blobs.c.state == BlobState.PART.value)
        rows = await self._all(kept.order_by(upload_parts.c.start))
        return [Blob(**dict(row._mapping) | {"state": BlobState(row.state)}) for row in rows]

    async def due_uploads(self, now: datetime, limit: int = 100) -> Sequence[Upload]:
        gone = select(images.c.id).where(images.c.id == uploads.c.image_id, images.c.deleted_at.is_not(None)).exists()
        whole = uploads.c.state == UploadState.WHOLE.value
        due: Select[Any] = _UPLOADS.where(or_(uploads.c.expires_at <= now, whole, and_(_LIVING, gone)))
        return [_upload(row) for row in await self._all(due.order_by(uploads.c.expires_at, uploads.c.id).limit(limit))]

    async def drop_upload(self, upload_id: str) -> None:
        await self._connection.execute(delete(upload_parts).where(upload_parts.c.upload_id == upload_id))
        await self._connection.execute(delete(uploads).where(uploads.c.id == upload_id))
