"""The shapes of all bodies, by name: the schemas of the Images API, and what no schema there describes."""

from __future__ import annotations

import json
from collections.abc import Mapping

from gateway.api.approvals import approval_shapes
from gateway.api.asking import what_if_schema
from gateway.api.break_glass import opening_shapes
from gateway.api.image_schema import ImageRules, Schema, image_schema, images_schema
from gateway.api.record_schemas import member_schema, task_schema, tasks_schema
from gateway.shipped_files import shipped


def shapes(rules: ImageRules) -> Mapping[str, Schema]:
    """Every shape that contracts name, and "error". `rules` are the site's own."""
    image = image_schema(rules)
    return {
        "image": image,
        "new-image": image,
        "images": images_schema(rules),
        "image-patch": _list(_NAMED),
        "image-patch-2.0": _list(_KEYED),
        "import": _IMPORT,
        "what-if": what_if_schema(rules),
        "what-if-answer": json.loads((shipped("schemas") / "what-if.schema.json").read_text()),
        "import-methods": json.loads((shipped("schemas") / "discovery.schema.json").read_text()),
        "stores": _object(stores=_list(_STORE)),
        "store-details": _object(stores=_list(_STORE_DETAIL)),
        "location": _LOCATION,
        "locations": _list(_object(url=_TEXT, metadata={"type": "object"})),
        "member": member_schema(),
        "members": _object(members=_list(member_schema())),
        "new-member": _object(member={**_TEXT, "minLength": 1, "maxLength": 255}),
        "member-answer": _object(status=member_schema()["properties"]["status"]),
        "task": task_schema(),
        "tasks": tasks_schema(),
        "image-tasks": _object(tasks=_list(_TASK)),
        "new-task": _object(type=_TEXT, input={"type": "object"}),
        "stop": _STOP,
        "stops": _object(stops=_list(_STOP)),
        "new-stop": _NEW_STOP,
        "versions": _object(
            versions=_list(_object(id=_TEXT, status=_TEXT, links=_list(_object(rel=_TEXT, href=_TEXT))))
        ),
        **approval_shapes(),
        **opening_shapes(),
        "usage": _object(usage={"type": "object", "additionalProperties": _object(usage=_COUNT, limit=_COUNT)}),
        "schema": {"type": "object"},
        "openapi": {"type": "object", "required": ["openapi", "paths", "components"]},
        "error": _object(error=_ERROR),
    }


def _object(**required: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": required}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


_TEXT: Schema = {"type": "string"}
_MAYBE_TEXT: Schema = {"type": ["string", "null"]}
_COUNT: Schema = {"type": "integer", "minimum": -1}
_MAYBE_COUNT: Schema = {"type": ["integer", "null"], "minimum": 0}
_POINTER: Schema = {"type": "string", "pattern": "^/[^/]+$", "description": "One field: `/name`."}

_NAMED: Schema = {
    "type": "object",
    "required": ["op", "path"],
    "properties": {"op": {"enum": ["add", "replace", "remove"]}, "path": _POINTER, "value": {}},
}
_KEYED: Schema = {
    "type": "object",
    "properties": {"add": _POINTER, "replace": _POINTER, "remove": _POINTER, "value": {}},
    "minProperties": 1,
}
_IMPORT: Schema = {
    "type": "object",
    "required": ["method"],
    "properties": {
        "method": {
            "type": "object",
            "description": "The import method, and what it needs to know.",
            "required": ["name"],
            "properties": {"name": _TEXT, "uri": _TEXT, "glance_region": _TEXT, "glance_image_id": _TEXT},
        },
        "stores": {"type": "array", "items": _TEXT, "minItems": 1, "description": "The stores to import into."},
        "all_stores": {"type": "boolean", "description": "Import into every store."},
        "all_stores_must_succeed": {"type": "boolean", "description": "Whether one store's failure fails the import."},
    },
}
_STORE: Schema = {
    "type": "object",
    "required": ["id"],
    "properties": {"id": _TEXT, "description": _TEXT, "default": {"const": "true"}, "read-only": {"const": "true"}},
}
_STORE_DETAIL: Schema = {
    **_STORE,
    "required": ["id", "type", "weight", "properties"],
    "properties": {
        **_STORE["properties"],
        "type": _TEXT,
        "weight": {"type": "integer"},
        "properties": {"type": "object"},
    },
}
_LOCATION: Schema = {
    "type": "object",
    "required": ["url"],
    "properties": {
        "url": _TEXT,
        "validation_data": {
            "type": "object",
            "description": "What the bytes at the URL must be.",
            "properties": {"os_hash_algo": {"enum": ["sha256", "sha384", "sha512"]}, "os_hash_value": _TEXT},
        },
    },
}
_TASK: Schema = {
    "type": "object",
    "required": ["id", "type", "status", "owner", "message", "created_at", "updated_at", "self", "schema"],
    "properties": {
        **dict.fromkeys(("id", "type", "message", "created_at", "updated_at", "self", "schema"), _TEXT),
        **dict.fromkeys(("owner", "image_id", "user_id", "request_id", "code", "remedy"), _MAYBE_TEXT),
        "status": {"enum": ["pending", "processing", "success", "failure"]},
        "input": {"type": ["object", "null"]},
        "result": {"type": ["object", "null"]},
        "progress": _object(bytes=_MAYBE_COUNT, total=_MAYBE_COUNT, percent=_MAYBE_COUNT),
        "stages": _list({"type": "object"}),
    },
}
_SENTENCE: Schema = {**_TEXT, "minLength": 1, "maxLength": 500, "pattern": r"^\S"}
_STOPPED: dict[str, Schema] = {
    "method": {**_SENTENCE, "description": "The stopped import method."},
    "host": {**_SENTENCE, "description": "The stopped host of sources, or `*.` and a name: every host below it."},
    "project": {**_SENTENCE, "description": "The id of the stopped project."},
}
_STOP: Schema = {
    "type": "object",
    "required": ["id", "message", "reason", "added_by", "added_at"],
    "properties": {
        **_STOPPED,
        **dict.fromkeys(("id", "message", "reason", "added_by", "added_at"), _TEXT),
        **dict.fromkeys(("lifted_by", "lifted_at", "lifted_reason"), _MAYBE_TEXT),
    },
}
_NEW_STOP: Schema = {
    "type": "object",
    "additionalProperties": False,
    "required": ["message", "reason"],
    "minProperties": 3,
    "maxProperties": 3,
    "properties": {
        **_STOPPED,
        "message": {**_SENTENCE, "description": "What callers it refuses are told."},
        "reason": {**_SENTENCE, "description": "Why, for administrators."},
    },
}
_ERROR: Schema = {
    **_object(message=_TEXT, code={"type": "integer"}, title=_TEXT, reason=_TEXT, remedy=_TEXT, request_id=_TEXT),
    "description": "`code` is the status, `reason` the refusal's stable name, `remedy` what to do now.",
}
