"""copy-image: an active image into more stores (Images API v2.10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.model.image import Move, Status
from gateway.ports import SourceRequest, Target


class CopyImage:
    """The `gateway.ports.Method` whose bytes are the image's own."""

    name = "copy-image"
    starts_from = Status.ACTIVE
    move = Move.COPY

    def read(self, method: Mapping[str, object]) -> SourceRequest:
        return SourceRequest(facts={}, shown={"name": self.name}, secret={})

    def open(self, secret: Mapping[str, str], *, max_size: int | None, check: Callable[[Target], None]) -> None:
        return None
