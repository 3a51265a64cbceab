"""`/openapi.json`: the whole API as one OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.1).

Nothing is listed twice: paths and verbs are read from the route table, words from the actions' docstrings, bodies and
statuses from their contracts, shapes from the schemas that the service serves and checks with.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from gateway.api.contract import JSON, Contract, contract, contract_of
from gateway.api.parameters import PARAMETERS, REQUEST_ID, path_parameter
from gateway.api.verbs import Resource
from gateway.api.versions import CURRENT

Json = dict[str, Any]

_UNSAID = Contract(answers={200: None})
_ALWAYS = frozenset({400, 431, 503})
"""What any request may be answered: a bad head or query, too large a head, a part of the service that is away."""


@dataclass(frozen=True)
class OpenApi:
    """The document of `listed` routes; `schemas` are the shapes by name, "error" among them."""

    listed: Sequence[BaseRoute]
    schemas: Mapping[str, Json]

    @contract({200: "openapi"}, public=True)
    async def show(self, request: Request) -> Response:
        """`GET /openapi.json`: this document, without authentication."""
        return JSONResponse(self.document)

    @cached_property
    def document(self) -> Json:
        paths: dict[str, Json] = {}
        for path, resource in resources(self.listed):
            if not resource.actions:
                continue  # another service's: it passes
            paths.setdefault(path, _path_item(path)).update(_operations(path, resource))
        return {
            "openapi": "3.1.1",
            "info": _INFO,
            "paths": paths,
            "security": [{"basic": []}, {"token": []}],
            "components": {
                "schemas": {name: _hoisted(name, schema) for name, schema in self.schemas.items()},
                "parameters": {"request-id": REQUEST_ID},
                "responses": {"error": _ERROR},
                "headers": {"request-id": {"schema": {"type": "string"}, "description": "The id of this request."}},
                "securitySchemes": _SECURITY,
            },
        }


def resources(listed: Iterable[BaseRoute], prefix: str = "") -> Iterator[tuple[str, Resource]]:
    """Every path of the table with its resource, mounted ones included."""
    for route in listed:
        if isinstance(route, Mount):
            yield from resources(route.routes, prefix + route.path)
        elif isinstance(route, Route) and isinstance(route.endpoint, Resource):
            yield prefix + route.path_format, route.endpoint


def _path_item(path: str) -> Json:
    return {"parameters": [*map(path_parameter, re.findall(r"{(\w+)}", path)), _ref("parameters", "request-id")]}


def _operations(path: str, resource: Resource) -> Json:
    return {verb: _operation(path, verb, action) for verb, action in resource.actions.items()}


def _operation(path: str, verb: str, action: Callable[..., Any]) -> Json:
    said = contract_of(action) or _UNSAID
    found = {
        "operationId": "-".join([verb, *re.findall(r"\w+", path)]),
        "description": inspect.getdoc(action) or "",
        "parameters": [parameter for group in said.parameters for parameter in PARAMETERS[group]],
        "responses": {str(status): answer for status, answer in _answers(path, said)},
    }
    if said.takes:
        found["requestBody"] = {"required": True, "content": dict(_taken(*body) for body in said.takes.items())}
    if said.public:
        found["security"] = []
    return found


def _answers(path: str, said: Contract) -> Iterator[tuple[int, Json]]:
    for status, body in said.answers.items():
        content = {"content": dict([_shown(body)])} if body else {}
        headers = {"x-openstack-request-id": _ref("headers", "request-id")}
        yield status, {"description": HTTPStatus(status).phrase, "headers": headers, **content}
    for status in sorted(_refusals(path, said) - set(said.answers)):
        yield status, _ref("responses", "error")


def _refusals(path: str, said: Contract) -> frozenset[int]:
    asked = set() if said.public else {401}
    named = {404} if "{" in path else set()
    body = {413, 415} if said.takes else set()
    return _ALWAYS | asked | named | body | said.refuses


def _shown(body: str) -> tuple[str, Json]:
    """A body of an answer: a media type stands for itself, a name for JSON of that schema."""
    return (body, {}) if "/" in body else (JSON, {"schema": _ref("schemas", body)})


def _taken(media_type: str, name: str | None) -> tuple[str, Json]:
    return media_type, {"schema": _ref("schemas", name)} if name else {}


def _hoisted(name: str, schema: Any) -> Any:
    """A schema whose own `$defs` are referred to from the document's root."""
    if isinstance(schema, list):
        return [_hoisted(name, item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _hoisted(name, value) for key, value in schema.items() if key != "$schema"}
    target = found.get("$ref")
    if isinstance(target, str) and target.startswith("#/$defs/"):
        found["$ref"] = f"#/components/schemas/{name}{target[1:]}"
    return found


def _ref(kind: str, name: str) -> Json:
    return {"$ref": f"#/components/{kind}/{name}"}


_INFO: Json = {
    "title": "Import Gateway",
    "version": CURRENT.removeprefix("v"),
    "description": "The OpenStack Images API v2, with imports governed by policy.",
    "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
}
_ERROR: Json = {
    "description": "A refusal: what happened, and what to do now.",
    "content": {JSON: {"schema": _ref("schemas", "error")}},
    "headers": {"x-openstack-request-id": _ref("headers", "request-id")},
}
_SECURITY: Json = {
    "basic": {"type": "http", "scheme": "basic"},
    "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token", "description": "A token of Keystone."},
}
