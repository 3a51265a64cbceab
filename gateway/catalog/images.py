"""Image records: one row an image, tombstones included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Update, bindparam, delete, exists, func, insert, select, update

from gateway.catalog import keyset, query, seldom
from gateway.catalog.tables import blobs, image_properties, image_tags, images, imports, locations
from gateway.catalog.usage import Charges
from gateway.model.errors import BadRequest, Conflict, NotFound
from gateway.model.image import BUSY, MOVES, BlobState, Image, Move, Status, target
from gateway.model.imports import ImportStatus
from gateway.ports import ImageQuery

_OPEN = (ImportStatus.PENDING.value, ImportStatus.PROCESSING.value)
_COLUMNS = tuple(column for column in images.c if column.name != "deleted_at")
_SETTABLE = frozenset(column.name for column in _COLUMNS) - {"id", "status", "created_at", "updated_at"}

_STORES = (
    select(func.aggregate_strings(blobs.c.store, ","))
    .select_from(locations.join(blobs))
    .where(locations.c.image_id == images.c.id, blobs.c.state.in_((BlobState.KEPT.value, BlobState.STAGED.value)))
    .correlate(images)
    .scalar_subquery()
    .label("stores")
)
_IMPORT = (
    select(func.max(imports.c.id))
    .where(imports.c.image_id == images.c.id, imports.c.status.in_(_OPEN))
    .correlate(images)
    .scalar_subquery()
    .label("import_id")
)
_IMAGES = select(*_COLUMNS, _STORES, _IMPORT)
_ALIVE = images.c.deleted_at.is_(None)
_BY_CHANGE: keyset.Order = ((images.c.updated_at, False), (images.c.id, False))
_ANY_IMAGE = _IMAGES.where(images.c.id == bindparam("image_id"))
_ONE_IMAGE = _ANY_IMAGE.where(_ALIVE)


def _image(row: Row[Any]) -> Image:
    values = dict(row._mapping)
    values["status"] = Status(values["status"])
    values["tags"] = tuple(values["tags"])
    values["stores"] = tuple(sorted(set(values["stores"].split(",")))) if values["stores"] else ()
    return Image(**values)


def _columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """Column values for fields a caller may set. Raises ValueError, a bug, for any other field."""
    if strangers := values.keys() - _SETTABLE:
        raise ValueError(f"not settable on an image: {', '.join(sorted(strangers))}")
    columns = dict(values)
    if "tags" in columns:
        columns["tags"] = list(columns["tags"])
    if "properties" in columns:
        columns["properties"] = dict(columns["properties"])
    return columns


def _missing(image_id: str) -> NotFound:
    return NotFound(f"No image found with ID {image_id}", remedy="Check the id, or list the images you can see.")


class Images(Charges):
    async def image(self, image_id: str) -> Image | None:
        await self._hold(image_id)
        row = await self._first(_ONE_IMAGE, {"image_id": image_id})
        return _image(row) if row else None

    async def images(self, query_: ImageQuery) -> Sequence[Image]:
        position = await self._position(query_)
        rows = await self._all(query.page(_IMAGES, query_, position, await self._few(query_)))
        return [_image(row) for row in rows]

    async def _few(self, query_: ImageQuery) -> Sequence[str] | None:
        """The only ids that can be on the list, where a filter leaves few of them."""
        for probe in seldom.probes(query_):
            found = await self._all(probe)
            if len(found) <= seldom.FEW:
                return [row[0] for row in found]
        return None

    async def add_image(self, image: Image) -> None:
        values = {column.name: getattr(image, column.name) for column in _COLUMNS}
        values |= {"tags": list(image.tags), "properties": dict(image.properties), "status": image.status.value}
        refusal = Conflict(f"Image ID {image.id} already exists!", remedy="Create the image with another id, or none.")
        await self._add(images, values, refusal)
        await self._add_labels(image.id, image.tags, image.properties)

    async def change_image(self, image_id: str, values: Mapping[str, Any], *, now: datetime) -> Image:
        await self._hold(image_id)
        if "owner" in values:
            await self._hand_over(image_id, values["owner"])
        statement = update(images).where(images.c.id == image_id, _ALIVE)
        if not await self._update(image_id, statement, values, now):
            raise _missing(image_id)
        return await self._record(image_id)

    async def move_image(
        self, image_id: str, move: Move, *, now: datetime, values: Mapping[str, Any] | None = None
    ) -> Image:
        await self._hold(image_id)
        sources, after = MOVES[move]
        movable = images.c.status.in_([status.value for status in sources])
        statement = update(images).where(images.c.id == image_id, movable, _ALIVE).values(status=after.value)
        if after is Status.DELETED:
            statement = statement.values(deleted_at=now)
        if not await self._update(image_id, statement, values or {}, now):
            raise await self._refused(image_id, move)
        if after is Status.DELETED:
            await self._drop_labels(image_id)
        return await self._record(image_id)

    async def active_images(self, after: str | None = None, limit: int = 100) -> Sequence[Image]:
        statement = _IMAGES.where(_ALIVE, images.c.status == Status.ACTIVE.value).order_by(images.c.id).limit(limit)
        rows = await self._all(statement if after is None else statement.where(images.c.id > after))
        return [_image(row) for row in rows]

    async def abandoned_images(
        self, status: Status, before: datetime, limit: int = 100, after: Image | None = None
    ) -> Sequence[Image]:
        working = exists().where(imports.c.image_id == images.c.id, imports.c.status.in_(_OPEN))
        statement = _IMAGES.where(_ALIVE, images.c.status == status.value, images.c.updated_at < before, ~working)
        if after is not None:
            statement = statement.where(keyset.after(_BY_CHANGE, (after.updated_at, after.id)))
        rows = await self._all(statement.order_by(*keyset.ordered(_BY_CHANGE)).limit(limit))
        return [_image(row) for row in rows]

    async def busy_images(self) -> Sequence[Image]:
        busy = images.c.status.in_([status.value for status in sorted(BUSY)])
        return [_image(row) for row in await self._all(_IMAGES.where(_ALIVE, busy))]

    async def _update(self, image_id: str, statement: Update, values: Mapping[str, Any], now: datetime) -> bool:
        columns = _columns(values)
        if not await self._change(statement.values(columns | {"updated_at": now})):
            return False
        if "tags" in columns:
            await self._connection.execute(delete(image_tags).where(image_tags.c.image_id == image_id))
        if "properties" in columns:
            await self._connection.execute(delete(image_properties).where(image_properties.c.image_id == image_id))
        await self._add_labels(image_id, columns.get("tags", ()), columns.get("properties", {}))
        return True

    async def _add_labels(self, image_id: str, tags: Sequence[str], properties: Mapping[str, str]) -> None:
        if tags:
            rows = [{"tag": tag, "image_id": image_id} for tag in dict.fromkeys(tags)]
            await self._connection.execute(insert(image_tags), rows)
        if properties:
            rows = [{"image_id": image_id, "name": name, "value": value} for name, value in properties.items()]
            await self._connection.execute(insert(image_properties), rows)

    async def _drop_labels(self, image_id: str) -> None:
        for table in (image_tags, image_properties):
            await self._connection.execute(delete(table).where(table.c.image_id == image_id))

    async def _record(self, image_id: str) -> Image:
        """The row as it now is, also when it has just become a tombstone."""
        row = await self._first(_ANY_IMAGE, {"image_id": image_id})
        if row is None:
            raise _missing(image_id)
        return _image(row)

    async def _refused(self, image_id: str, move: Move) -> Exception:
        """Why a move changed nothing: read again, because the winner of a race may have just committed."""
        image = await self.image(image_id)
        if image is None:
            return _missing(image_id)
        target(image.status, move)
        return Conflict(
            f"Image {image_id} was changed by somebody else at the same moment",
            remedy="Send the request again.",
            code="status-conflict",
        )

    async def _position(self, query_: ImageQuery) -> Row[Any] | None:
        """The marker's sort values. A deleted marker still marks its place, so paging survives deletions."""
        if query_.marker is None:
            return None
        row = await self._first(query.position(query_))
        if row is None:
            raise BadRequest(f"No image found with marker {query_.marker}", remedy="Start again without a marker.")
        return row
