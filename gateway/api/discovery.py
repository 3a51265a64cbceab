"""What a caller may do here, and what the site is: `info/import`, versions."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.api.bodies import expect_no_body
from gateway.api.contract import contract
from gateway.api.front import Front
from gateway.api.versions import versions_response
from gateway.service import discovery


@dataclass(frozen=True, slots=True)
class Discovery:
    front: Front

    @contract({200: "import-methods"})
    async def methods(self, request: Request) -> Response:
        """`GET /v2/info/import`: what this caller may import, and why not the rest."""
        expect_no_body(request)
        caller = await self.front.caller(request)
        return JSONResponse(await discovery.import_document(self.front.site, caller))

    @contract({300: "versions"}, public=True)
    async def choices(self, request: Request) -> Response:
        """`GET /`: 300 and the versions, without authentication."""
        return versions_response(request, self.front.public_endpoint, 300)

    @contract({200: "versions"}, public=True)
    async def versions(self, request: Request) -> Response:
        """`GET /versions`: the same as 200."""
        return versions_response(request, self.front.public_endpoint, 200)
