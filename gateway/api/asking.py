"""Questions before an import: `POST info/import/what-if`, and the schema of what a caller may send."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.api.bodies import expect_no_body, read_object
from gateway.api.contract import contract
from gateway.api.front import Front
from gateway.api.image_schema import ImageRules, Schema
from gateway.model.errors import BadRequest
from gateway.model.image import VISIBILITIES
from gateway.service import asking

_LONGEST = 200


@dataclass(frozen=True)
class Asking:
    """Neither changes or records anything."""

    front: Front
    rules: ImageRules

    @contract({200: "what-if-answer"}, takes="what-if", refuses=(409,))
    async def what_if(self, request: Request) -> Response:
        """`POST /v2/info/import/what-if`: what would become of an import, and the smallest change that would pass."""
        caller = await self.front.caller(request)
        body = await read_object(request)
        self._check(body)
        return JSONResponse(await asking.what_if(self.front.site, caller, body))

    @contract({200: "schema"})
    async def import_schema(self, request: Request) -> Response:
        """`GET /v2/schemas/import`: the JSON Schema of the import requests that this caller may send."""
        expect_no_body(request)
        caller = await self.front.caller(request)
        return JSONResponse(await asking.schema_of_imports(self.front.site, caller))

    @cached_property
    def _validator(self) -> Draft202012Validator:
        return Draft202012Validator(what_if_schema(self.rules))

    def _check(self, body: Mapping[str, Any]) -> None:
        """Raises BadRequest that names the key."""
        fault = best_match(self._validator.iter_errors(body))
        if fault is not None:
            where = ".".join(str(step) for step in fault.absolute_path) or "body"
            raise BadRequest(
                f"Invalid what-if: {where}: {fault.message[:_LONGEST]}.",
                remedy='Send {"method": {"name": "web-download", "uri": "https://..."}, "disk_format": "qcow2", ...}.',
                code="bad-what-if",
            )


def what_if_schema(rules: ImageRules) -> Schema:
    """The shape of a question: a method, and what is known of the image so far."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["method"],
        "properties": {
            "method": _METHOD,
            "disk_format": {"enum": list(rules.disk_formats), "description": "Of the record, and of the bytes."},
            "container_format": {"enum": list(rules.container_formats), "description": "Of the record."},
            "visibility": {"enum": list(VISIBILITIES), "description": "Of the record."},
            "properties": {
                "type": "object",
                "maxProperties": rules.max_properties,
                "additionalProperties": {"type": "string"},
                "description": "All the free properties the record would have.",
            },
            "stores": {
                "type": "array",
                "items": {"type": "string"},
                "minItems": 1,
                "maxItems": 64,
                "description": "The stores to import into; without them the default one.",
            },
            "size": {**_SIZE, "description": "Bytes of the image."},
            "virtual_size": {**_SIZE, "description": "Bytes of the disk it describes."},
        },
    }


_SIZE: Schema = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
_METHOD: Schema = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "description": "The import method; its source may be left open.",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 255},
        "uri": {"type": "string", "minLength": 1, "description": "Where the bytes would come from."},
        "glance_region": {"type": "string", "minLength": 1, "maxLength": 255},
        "glance_image_id": {"type": "string"},
        "glance_service_interface": {"type": "string"},
        "source": {"type": "string", "description": "The object store of an s3-download."},
        "credential": {"type": "string", "description": "Name of the operator's credential to show to the source."},
        "title": {"type": "string", "description": "The layer's title (oci-download)."},
        "media_type": {"type": "string", "description": "The layer's media type (oci-download)."},
        "platform": {"type": "string", "description": "Such as linux/amd64 (oci-download)."},
    },
}
