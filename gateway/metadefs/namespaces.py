"""Namespaces on the wire, resource types, and the schemas of all metadata definitions."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.api.bodies import expect_no_body, read_object
from gateway.api.front import Front
from gateway.api.verbs import Action
from gateway.api.versions import base_url
from gateway.metadefs import library
from gateway.metadefs.bodies import read_namespace, read_namespace_change
from gateway.metadefs.library import Opened
from gateway.metadefs.listing import DEFAULT_LIMIT, NAMESPACE_SORT_KEYS, read_filter, read_page
from gateway.metadefs.schemas import Schema
from gateway.metadefs.wire import namespace_json, namespace_url, namespaces_json, prefixed, resource_types_json


@dataclass(frozen=True, slots=True)
class Namespaces:
    front: Front

    async def index(self, request: Request) -> Response:
        """`GET /v2/metadefs/namespaces`: a page, with `next` while there is more."""
        caller = await self.front.caller(request)
        query = request.query_params
        page = read_page(query, NAMESPACE_SORT_KEYS, DEFAULT_LIMIT)
        found, more = await library.page(self.front.site, caller, read_filter(query), page)
        return JSONResponse(namespaces_json(found, query.multi_items(), more=more))

    async def create(self, request: Request) -> Response:
        """`POST /v2/metadefs/namespaces`: 201, with all that was sent in it, or nothing of it."""
        caller = await self.front.caller(request)
        site = self.front.site
        new = read_namespace(await read_object(request), caller, id=site.new_id(), now=site.clock.now())
        await library.create(site, caller, new)
        place = f"{base_url(request, self.front.public_endpoint)}{namespace_url(new.namespace.namespace)}"
        return JSONResponse(namespace_json(new), 201, {"Location": place})

    async def show(self, request: Request) -> Response:
        """`GET /v2/metadefs/namespaces/{namespace}`; with `resource_type`, keys have that type's prefix."""
        expect_no_body(request)
        caller = await self.front.caller(request)
        opened = await library.show(self.front.site, caller, request.path_params["namespace"])
        return JSONResponse(namespace_json(prefixed(opened, request.query_params.get("resource_type"))))

    async def update(self, request: Request) -> Response:
        """`PUT /v2/metadefs/namespaces/{namespace}`: 200. What it defines is not sent and stays."""
        caller = await self.front.caller(request)
        values = read_namespace_change(await read_object(request), caller)
        changed = await library.change(self.front.site, caller, request.path_params["namespace"], values)
        return JSONResponse(namespace_json(Opened(changed)))

    async def delete(self, request: Request) -> Response:
        """`DELETE /v2/metadefs/namespaces/{namespace}`: 204, with everything it defines."""
        expect_no_body(request)
        caller = await self.front.caller(request)
        await library.delete(self.front.site, caller, request.path_params["namespace"])
        return Response(status_code=204)

    async def resource_types(self, request: Request) -> Response:
        """`GET /v2/metadefs/resource_types`: the shared ones and every one that was ever associated."""
        expect_no_body(request)
        caller = await self.front.caller(request)
        return JSONResponse(resource_types_json(await library.resource_types(self.front.site, caller)))

    def schema(self, schema: Schema) -> Action:
        """The action that serves one schema to anybody who is known."""

        async def show(request: Request) -> Response:
            """A schema of metadata definitions: 200."""
            expect_no_body(request)
            await self.front.caller(request)
            return JSONResponse(schema)

        return show
