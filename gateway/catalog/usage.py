"""The quota ledger: what each blob is charged with, and the sum of it for each project.

A charge is written where the blob's row is written, in the same transaction, so that no caller can forget it: what a
blob has reserved while it is written, its size once it is whole, nothing once it is doomed. The sum stands in a row of
its own, which also makes those who check a quota wait for each other. Records and imports are counted where they are.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal_column, select, update

from gateway.catalog.rows import Rows
from gateway.catalog.tables import blobs, images, imports, project_usage
from gateway.model.image import BUSY, BlobState
from gateway.model.imports import ImportStatus
from gateway.model.usage import Counted

NOBODY = ""
"""The project that images without an owner are charged to."""

_BUSY = images.c.status.in_([literal_column(f"'{status}'") for status in sorted(BUSY)])
"""Spelled out, not bound: only so does a database see that its index of busy images answers."""
_ALIVE = images.c.deleted_at.is_(None)
_OPEN = imports.c.status.in_((ImportStatus.PENDING.value, ImportStatus.PROCESSING.value))
_UNFINISHED = blobs.c.state.in_((BlobState.WRITING.value, BlobState.PART.value, BlobState.STAGED.value))


class Charges(Rows):
    async def used(self, project: str | None, counted: Counted, *, lock: bool = False) -> int:
        if lock:
            await self._add_size(project, 0)
        row = await self._first(_STATEMENTS[counted](project or NOBODY))
        return int(row[0] or 0) if row else 0

    async def charge(self, blob_id: str, size: int) -> None:
        await self._hold_of_blob(blob_id)
        await self._charge(size, blobs.c.id == blob_id, blobs.c.state == BlobState.WRITING.value)

    async def _charge(self, size: int, *this: ColumnElement[bool]) -> None:
        """Of a blob whose image is held."""
        found = await self._first(_CHARGED.where(*this))
        if found is not None and found.charged != size:
            await self._connection.execute(update(blobs).where(*this).values(charged=size))
            await self._add_size(found.owner, size - found.charged)

    async def _hand_over(self, image_id: str, project: str | None) -> None:
        """What an image's blobs are charged with moves to the image's new owner. In one order, whoever gives."""
        charged = select(func.sum(blobs.c.charged)).where(blobs.c.image_id == image_id).scalar_subquery()
        found = await self._first(select(images.c.owner, charged.label("size")).where(images.c.id == image_id))
        if found is not None and found.size:
            size = int(found.size)
            for owner, more in sorted([(found.owner or NOBODY, -size), (project or NOBODY, size)]):
                await self._add_size(owner, more)

    async def _add_size(self, project: str | None, more: int) -> None:
        """Holds the project's row until the end of the transaction, also where `more` is 0."""
        row = self._insert(project_usage).values(project=project or NOBODY, size=more)
        more_of_it = {"size": project_usage.c.size + more}
        await self._connection.execute(row.on_conflict_do_update(index_elements=["project"], set_=more_of_it))


_CHARGED = select(blobs.c.charged, images.c.owner).join(images, images.c.id == blobs.c.image_id)


def _of(project: str) -> ColumnElement[bool]:
    return images.c.owner.is_(None) if project == NOBODY else images.c.owner == project


def _images(project: str) -> Select[Any]:
    return select(func.count()).select_from(images).where(_of(project), _ALIVE)


def _size(project: str) -> Select[Any]:
    return select(project_usage.c.size).where(project_usage.c.project == project)


def _active(project: str) -> Select[Any]:
    """Images on their way, and images that have data already and get more copies of it."""
    mine = (_of(project), _ALIVE)
    busy = select(func.count()).select_from(images).where(*mine, _BUSY)
    copied = select(func.count()).select_from(imports).join(images, images.c.id == imports.c.image_id)
    return select(busy.scalar_subquery() + copied.where(*mine, _OPEN, ~_BUSY).scalar_subquery())


def _unfinished(project: str) -> Select[Any]:
    charged = select(func.sum(blobs.c.charged)).join(images, images.c.id == blobs.c.image_id)
    return charged.where(_of(project), _UNFINISHED)


_STATEMENTS = {
    Counted.IMAGES: _images,
    Counted.SIZE: _size,
    Counted.IMPORTS: _active,
    Counted.UNFINISHED: _unfinished,
}
