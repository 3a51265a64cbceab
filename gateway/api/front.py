"""What every action of the API shares: the site, who is asking, and how links are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from starlette.requests import Request

from gateway.api.passing import Passing
from gateway.api.request_id import request_id
from gateway.model.caller import Caller
from gateway.ports import Identity
from gateway.service.site import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """Handed to every resource. `public_endpoint` None means: links follow the request's own URL.

    `metrics` says who may read them. `passing` leads to the image service behind the gateway, where there is one.
    """

    site: Site
    identity: Identity
    public_endpoint: str | None = None
    store_descriptions: dict[str, str]
    metrics: Literal["off", "loopback", "any"] = "loopback"
    passing: Passing | None = None

    async def caller(self, request: Request) -> Caller:
        """Raises NotAuthenticated, Unavailable."""
        return await self.identity.identify(request.headers, method=request.method, path=request.scope["path"])

    def request_id(self, request: Request) -> str:
        return request_id(request.scope)
