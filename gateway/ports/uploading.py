"""The records of resumable uploads, and the order of their parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from gateway.model.image import Blob
from gateway.model.upload import Upload


class Uploading(Protocol):
    """The part of a transaction that is about uploads which go on after they broke."""

    async def add_upload(self, upload: Upload) -> None:
        """Raises Conflict where its image has a living one."""
        ...

    async def upload(self, upload_id: str) -> Upload | None: ...
    async def open_upload(self, image_id: str) -> Upload | None:
        """The one that is OPEN or WHOLE."""
        ...

    async def change_upload(self, upload: Upload, values: Mapping[str, Any]) -> Upload | None:
        """By UPLOAD_MOVES, compare-and-swap on its version. None where it has changed meanwhile."""
        ...

    async def add_part(self, upload_id: str, start: int, blob_id: str) -> None:
        """The bytes from `start` on are those of this blob."""
        ...

    async def upload_parts(self, upload_id: str) -> Sequence[Blob]:
        """Its PART blobs, in the order of their bytes."""
        ...

    async def due_uploads(self, now: datetime, limit: int = 100) -> Sequence[Upload]:
        """Those that are WHOLE, whose time is over, or that live though their image is deleted; oldest first."""
        ...

    async def drop_upload(self, upload_id: str) -> None: ...
