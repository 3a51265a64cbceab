"""Image records on the wire: create, list, show, patch, delete, and their schemas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.api.bodies import expect_no_body, parse_json, read_body, read_object
from gateway.api.contract import contract
from gateway.api.errors import PATCH_TYPES
from gateway.api.front import Front
from gateway.api.image_schema import image_schema, images_schema
from gateway.api.image_values import ImageReader
from gateway.api.listing import parse_listing
from gateway.api.locations import place_edits
from gateway.api.patch import apply, check_patch_type, parse_patch
from gateway.api.versions import base_url
from gateway.api.wire import image_json, images_json, shown_json
from gateway.model.caller import Caller
from gateway.service import discovery, images, places, showing

PATCHES = dict(zip(PATCH_TYPES, ("image-patch-2.0", "image-patch"), strict=True))


@dataclass(frozen=True, slots=True)
class Images:
    front: Front
    reader: ImageReader

    @contract({201: "image"}, takes="new-image", refuses=(403, 409))
    async def create(self, request: Request) -> Response:
        """`POST /v2/images`: 201. The header of methods is this caller's own list."""
        caller = await self.front.caller(request)
        values = self.reader.create(await read_object(request), caller)
        image = await images.create(self.front.site, caller, values)
        headers = {
            "Location": f"{base_url(request, self.front.public_endpoint)}/v2/images/{image.id}",
            "OpenStack-image-store-ids": ",".join(self.front.site.stores),
        }
        if methods := await discovery.offered_methods(self.front.site, caller):
            headers["OpenStack-image-import-methods"] = ",".join(methods)
        locations: list[Any] | None = [] if self.reader.rules.show_locations else None
        return JSONResponse(image_json(image, locations=locations), 201, headers)

    @contract({200: "images"}, parameters=["images"], refuses=[403])
    async def index(self, request: Request) -> Response:
        """`GET /v2/images`: a page, with `next` while there is more."""
        caller = await self.front.caller(request)
        sent = request.query_params.multi_items()
        found, more = await images.page(self.front.site, parse_listing(sent, caller))
        return JSONResponse(images_json(found, sent, more=more))

    @contract({200: "image"})
    async def show(self, request: Request) -> Response:
        """`GET /v2/images/{id}`: 200."""
        expect_no_body(request)
        caller = await self.front.caller(request)
        return JSONResponse(await self._shown(caller, request.path_params["image_id"]))

    @contract({200: "image"}, takes=PATCHES, refuses=(403, 409))
    async def patch(self, request: Request) -> Response:
        """`PATCH /v2/images/{id}`: 200, in both media types of the Images API."""
        caller = await self.front.caller(request)
        kind = request.headers.get("content-type")
        check_patch_type(kind)
        changes = parse_patch(parse_json(await read_body(request)), kind)
        image_id = request.path_params["image_id"]
        if self.reader.rules.show_locations and (edits := place_edits(changes)):
            await places.edit(self.front.site, caller, image_id, edits)
        else:
            await images.change(
                self.front.site, caller, image_id, lambda image: apply(image, changes, caller, self.reader)
            )
        return JSONResponse(await self._shown(caller, image_id))

    async def _shown(self, caller: Caller, image_id: str) -> dict[str, Any]:
        locations = self.reader.rules.show_locations
        return shown_json(await showing.show(self.front.site, caller, image_id, locations=locations))

    @contract({204: None}, refuses=(403, 409))
    async def delete(self, request: Request) -> Response:
        """`DELETE /v2/images/{id}`: 204. Its import ends, and its id is never given out again."""
        expect_no_body(request)
        caller = await self.front.caller(request)
        await images.delete(self.front.site, caller, request.path_params["image_id"])
        return Response(status_code=204)

    @contract({200: "schema"})
    async def image_schema(self, request: Request) -> Response:
        """`GET /v2/schemas/image`: what an image may hold here."""
        expect_no_body(request)
        await self.front.caller(request)
        return JSONResponse(image_schema(self.reader.rules))

    @contract({200: "schema"})
    async def images_schema(self, request: Request) -> Response:
        """`GET /v2/schemas/images`: what a list of images looks like."""
        expect_no_body(request)
        await self.front.caller(request)
        return JSONResponse(images_schema(self.reader.rules))
