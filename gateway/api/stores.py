"""The site's stores ("Stores" in the Images API reference), and one image's copy in one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.api.bodies import expect_no_body
from gateway.api.contract import contract
from gateway.api.front import Front
from gateway.service import stores


@dataclass(frozen=True, slots=True)
class Stores:
    front: Front

    @contract({200: "stores"})
    async def index(self, request: Request) -> Response:
        """`GET /v2/info/stores`: 200. `default` and `read-only` are the string "true", and absent otherwise."""
        expect_no_body(request)
        await self.front.caller(request)
        return JSONResponse({"stores": [self._store(name) for name in self.front.site.stores]})

    @contract({200: "store-details"}, refuses=[403])
    async def detail(self, request: Request) -> Response:
        """`GET /v2/info/stores/detail`: 200, for administrators and services."""
        expect_no_body(request)
        details = stores.details(self.front.site, await self.front.caller(request))
        return JSONResponse({"stores": [{**self._store(name), **more} for name, more in details.items()]})

    @contract({204: None}, refuses=(403, 409))
    async def delete(self, request: Request) -> Response:
        """`DELETE /v2/stores/{store}/{image}`: 204. The image stays in its other stores."""
        expect_no_body(request)
        caller = await self.front.caller(request)
        await stores.delete_from(
            self.front.site, caller, request.path_params["store_id"], request.path_params["image_id"]
        )
        return Response(status_code=204)

    def _store(self, name: str) -> dict[str, Any]:
        about: dict[str, Any] = {"id": name}
        if description := self.front.store_descriptions.get(name):
            about["description"] = description
        if name == self.front.site.default_store:
            about["default"] = "true"
        if self.front.site.stores[name].read_only:
            about["read-only"] = "true"
        return about
