"""What a caller may do here, and what the site is: `info/import`, `info/stores`, versions, health."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from gateway.api.bodies import expect_no_body
from gateway.api.front import Front
from gateway.api.versions import versions_response
from gateway.service import discovery


@dataclass(frozen=True, slots=True)
class Discovery:
    front: Front

    async def methods(self, request: Request) -> Response:
        """`GET /v2/info/import`: what this caller may import, and why not the rest."""
        expect_no_body(request)
        caller = await self.front.caller(request)
        return JSONResponse(discovery.import_document(self.front.site, caller))

    async def stores(self, request: Request) -> Response:
        """`GET /v2/info/stores`. `default` is the string "true", and absent otherwise."""
        expect_no_body(request)
        await self.front.caller(request)
        return JSONResponse({"stores": [self._store(name) for name in self.front.site.stores]})

    def _store(self, name: str) -> dict[str, str]:
        about = {"id": name}
        if description := self.front.store_descriptions.get(name):
            about["description"] = description
        if name == self.front.site.default_store:
            about["default"] = "true"
        return about

    async def choices(self, request: Request) -> Response:
        """`GET /`: 300 and the versions, without authentication."""
        return versions_response(request, self.front.public_endpoint, 300)

    async def versions(self, request: Request) -> Response:
        """`GET /versions`: the same as 200."""
        return versions_response(request, self.front.public_endpoint, 200)

    async def health(self, request: Request) -> Response:
        """`GET /healthcheck`: 200 `OK` while the process serves; no authentication."""
        return PlainTextResponse("OK")
