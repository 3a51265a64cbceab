"""What namespaces define, on the wire: objects, properties, tags and associations with resource types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.api.bodies import expect_no_body, read_object
from gateway.api.front import Front
from gateway.metadefs import library, wire
from gateway.metadefs.bodies import read_definition, read_tags
from gateway.metadefs.listing import DEFINITION_SORT_KEYS, read_page
from gateway.metadefs.records import Definition, Kind, Page
from gateway.model.errors import NotFound

_TRUE = frozenset({"1", "t", "true", "on", "y", "yes"})


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind and how one of it and a list of it look."""

    kind: Kind
    one: Callable[[str, Definition], wire.Json]
    many: Callable[[str, Sequence[Definition]], wire.Json]
    paged: bool = False


OBJECTS = Shape(Kind.OBJECT, wire.object_json, wire.objects_json, paged=True)
PROPERTIES = Shape(Kind.PROPERTY, wire.property_json, wire.properties_json)
TAGS = Shape(Kind.TAG, wire.tag_json, wire.tags_json, paged=True)
ASSOCIATIONS = Shape(Kind.ASSOCIATION, wire.association_json, wire.associations_json)


@dataclass(frozen=True, slots=True)
class Definitions:
    """The actions on one kind. Routes choose those that the Images API has."""

    front: Front
    shape: Shape

    async def index(self, request: Request) -> Response:
        """`GET .../{kind}`: all; objects and tags in pages where `limit` asks for it."""
        caller = await self.front.caller(request)
        name = request.path_params["namespace"]
        found = await library.list_kind(self.front.site, caller, name, self.shape.kind, self._page(request))
        return JSONResponse(self.shape.many(name, found))

    async def create(self, request: Request) -> Response:
        """`POST .../{kind}`: 201."""
        caller = await self.front.caller(request)
        new = read_definition(self.shape.kind, await read_object(request), now=self.front.site.clock.now())
        await library.add(self.front.site, caller, request.path_params["namespace"], [new])
        return self._shown(request, new, 201)

    async def show(self, request: Request) -> Response:
        """`GET .../{kind}/{name}`: 200."""
        expect_no_body(request)
        caller = await self.front.caller(request)
        name, wanted = request.path_params["namespace"], request.path_params["name"]
        return self._shown(request, await library.find(self.front.site, caller, name, self.shape.kind, wanted))

    async def update(self, request: Request) -> Response:
        """`PUT .../{kind}/{name}`: 200. The body takes the place of all that was there, the name too."""
        caller = await self.front.caller(request)
        new = read_definition(self.shape.kind, await read_object(request), now=self.front.site.clock.now())
        name, old = request.path_params["namespace"], request.path_params["name"]
        return self._shown(request, await library.exchange(self.front.site, caller, name, old, new))

    async def delete(self, request: Request) -> Response:
        """`DELETE .../{kind}/{name}`: 204."""
        expect_no_body(request)
        caller = await self.front.caller(request)
        name, unwanted = request.path_params["namespace"], request.path_params["name"]
        await library.remove(self.front.site, caller, name, self.shape.kind, unwanted)
        return Response(status_code=204)

    async def clear(self, request: Request) -> Response:
        """`DELETE .../{kind}`: all of them, 204."""
        caller = await self.front.caller(request)
        await library.clear(self.front.site, caller, request.path_params["namespace"], self.shape.kind)
        return Response(status_code=204)

    def _page(self, request: Request) -> Page:
        return read_page(request.query_params, DEFINITION_SORT_KEYS) if self.shape.paged else Page(descending=False)

    def _shown(self, request: Request, one: Definition, status: int = 200) -> Response:
        return JSONResponse(self.shape.one(request.path_params["namespace"], one), status)


@dataclass(frozen=True, slots=True)
class Properties(Definitions):
    """As `Definitions`, and a property can be asked for by the name it has on a resource type."""

    async def show(self, request: Request) -> Response:
        """`GET .../properties/{name}`: 200; with `resource_type`, by the name it has there."""
        caller = await self.front.caller(request)
        name, wanted = request.path_params["namespace"], request.path_params["name"]
        if resource_type := request.query_params.get("resource_type"):
            association = await library.find(self.front.site, caller, name, Kind.ASSOCIATION, resource_type)
            wanted = _without_prefix(wanted, association)
        return self._shown(request, await library.find(self.front.site, caller, name, self.shape.kind, wanted))


@dataclass(frozen=True, slots=True)
class Tags(Definitions):
    """As `Definitions`, but tags come in bulk, or by a path without a body."""

    async def create(self, request: Request) -> Response:
        """`POST .../tags`: 201, in the place of all tags there are, or beside them with `X-Openstack-Append`.

        An empty list changes nothing.
        """
        caller = await self.front.caller(request)
        new = read_tags(await read_object(request), now=self.front.site.clock.now())
        keeps = not new or request.headers.get("x-openstack-append", "").strip().lower() in _TRUE
        name = request.path_params["namespace"]
        await library.add(self.front.site, caller, name, new, instead_of=None if keeps else Kind.TAG)
        return JSONResponse(self.shape.many(name, new), 201)

    async def create_one(self, request: Request) -> Response:
        """`POST .../tags/{tag}`: 201."""
        expect_no_body(request)
        caller = await self.front.caller(request)
        body = {"name": request.path_params["name"]}
        new = read_definition(Kind.TAG, body, now=self.front.site.clock.now())
        await library.add(self.front.site, caller, request.path_params["namespace"], [new])
        return self._shown(request, new, 201)


def _without_prefix(name: str, association: Definition) -> str:
    prefix = association.body.get("prefix", "")
    if not prefix or not name.startswith(prefix):
        raise NotFound(
            f"Property {name} does not start with the prefix '{prefix}' of resource type {association.name}.",
            remedy="Ask without 'resource_type', or with the whole name.",
        )
    return name.removeprefix(prefix)
