"""`GET /v2/info/usage`: what the caller's project has, and the most it may have ("Quota usage" in the reference)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.api.contract import contract
from gateway.api.front import Front
from gateway.model.usage import Counted
from gateway.service.usage import Count, usage

MIB = 1 << 20
UNLIMITED = -1
"""How the Images API says that there is no limit."""

NAMES: Mapping[Counted, str] = {
    Counted.SIZE: "image_size_total",
    Counted.UNFINISHED: "image_stage_total",
    Counted.IMAGES: "image_count_total",
    Counted.IMPORTS: "image_count_uploading",
}
_SIZES = (Counted.SIZE, Counted.UNFINISHED)


@dataclass(frozen=True, slots=True)
class Usage:
    front: Front

    @contract({200: "usage"})
    async def show(self, request: Request) -> Response:
        """`GET /v2/info/usage`: 200. Sizes are in MiB: what is used is rounded up, limits are rounded down."""
        caller = await self.front.caller(request)
        counts = await usage(self.front.site, caller)
        return JSONResponse({"usage": {name: _count(counted, counts[counted]) for counted, name in NAMES.items()}})


def _count(counted: Counted, count: Count) -> dict[str, int]:
    unit = MIB if counted in _SIZES else 1
    return {"usage": -(-count.used // unit), "limit": UNLIMITED if count.limit is None else count.limit // unit}
