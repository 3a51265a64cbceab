"""Image records on the wire: create, list, show, patch, delete, and their schemas."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.api.bodies import expect_no_body, parse_json, read_body, read_object
from gateway.api.front import Front
from gateway.api.image_schema import image_schema, images_schema
from gateway.api.image_values import ImageReader
from gateway.api.listing import parse_listing
from gateway.api.patch import apply, check_patch_type, parse_patch
from gateway.api.versions import base_url
from gateway.api.wire import image_json, images_json
from gateway.service import discovery, images


@dataclass(frozen=True, slots=True)
class Images:
    front: Front
    reader: ImageReader

    async def create(self, request: Request) -> Response:
        """`POST /v2/images`: 201. The header of methods is this caller's own list."""
        caller = await self.front.caller(request)
        values = self.reader.create(await read_object(request), caller)
        image = await images.create(self.front.site, caller, values)
        headers = {
            "Location": f"{base_url(request, self.front.public_endpoint)}/v2/images/{image.id}",
            "OpenStack-image-store-ids": ",".join(self.front.site.stores),
        }
        if methods := discovery.offered_methods(self.front.site, caller):
            headers["OpenStack-image-import-methods"] = ",".join(methods)
        return JSONResponse(image_json(image), 201, headers)

    async def index(self, request: Request) -> Response:
        """`GET /v2/images`: a page, with `next` while there is more."""
        caller = await self.front.caller(request)
        sent = request.query_params.multi_items()
        found, more = await images.page(self.front.site, parse_listing(sent, caller))
        return JSONResponse(images_json(found, sent, more=more))

    async def show(self, request: Request) -> Response:
        expect_no_body(request)
        caller = await self.front.caller(request)
        return JSONResponse(image_json(await images.show(self.front.site, caller, request.path_params["image_id"])))

    async def patch(self, request: Request) -> Response:
        """`PATCH /v2/images/{id}`: 200, in both media types of the Images API."""
        caller = await self.front.caller(request)
        kind = request.headers.get("content-type")
        check_patch_type(kind)
        changes = parse_patch(parse_json(await read_body(request)), kind)
        image_id = request.path_params["image_id"]
        image = await images.change(
            self.front.site, caller, image_id, lambda image: apply(image, changes, caller, self.reader)
        )
        return JSONResponse(image_json(image))

    async def delete(self, request: Request) -> Response:
        expect_no_body(request)
        caller = await self.front.caller(request)
        await images.delete(self.front.site, caller, request.path_params["image_id"])
        return Response(status_code=204)

    async def image_schema(self, request: Request) -> Response:
        expect_no_body(request)
        await self.front.caller(request)
        return JSONResponse(image_schema(self.reader.rules))

    async def images_schema(self, request: Request) -> Response:
        expect_no_body(request)
        await self.front.caller(request)
        return JSONResponse(images_schema(self.reader.rules))
