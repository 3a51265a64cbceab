"""glance-direct: the caller has staged the bytes already (Images API v2.6, `PUT /v2/images/{id}/stage`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.model.image import Move, Status
from gateway.ports import SourceRequest, Target


class GlanceDirect:
    """The `gateway.ports.Method` that has no source."""

    name = "glance-direct"
    starts_from = Status.UPLOADING
    move = Move.IMPORT_STAGED

    def read(self, method: Mapping[str, object]) -> SourceRequest:
        return SourceRequest(facts={}, shown={"name": self.name}, secret={})

    def open(self, secret: Mapping[str, str], *, max_size: int | None, check: Callable[[Target], None]) -> None:
        return None
