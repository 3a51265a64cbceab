"""The JSON Schemas of metadata definitions, as `GET /v2/schemas/metadefs/NAME` serves them and bodies are checked.

Clients build their models from these (glanceclient does), so the field names and types follow the Images API; the
descriptions are ours. Every name that stands in a path keeps out what a path cannot carry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Schema = dict[str, Any]

LONGEST_NAME = 80
_IN_A_PATH = r"^(?!\.{1,2}$)[^/\\\x00-\x1f\x7f]*(?![\s\S])"
"""What is made under a name is found under it: the strict front lets no path pass with anything else in it. Here `$`
would take a line break at the end, elsewhere not.
"""
_TYPES = ["array", "boolean", "integer", "number", "object", "string"]
_COUNT = {"type": "integer", "minimum": 0}
_TEXT = {"type": "string"}
_STRINGS = {"type": "array", "items": _TEXT, "uniqueItems": True}
_PROPERTIES = {"$ref": "#/definitions/property"}


def _name(description: str) -> Schema:
    return {
        "type": "string",
        "description": description,
        "minLength": 1,
        "maxLength": LONGEST_NAME,
        "pattern": _IN_A_PATH,
    }


def _text(description: str, longest: int) -> Schema:
    return {"type": "string", "description": description, "maxLength": longest}


def _read_only(description: str, **more: Any) -> Schema:
    return {"type": "string", "readOnly": True, "description": description, **more}


_TIMES = {
    "created_at": _read_only("When the record was made.", format="date-time"),
    "updated_at": _read_only("When the record last changed.", format="date-time"),
}
_LINKS = {"self": _read_only("The URL of the record."), "schema": _read_only("The URL of the record's schema.")}

_PROPERTY_FIELDS: Schema = {
    "name": _name("The key."),
    "title": {"type": "string", "description": "What people call the key."},
    "description": _TEXT,
    "type": {"type": "string", "enum": _TYPES, "description": "The type of the key's values."},
    "operators": {"type": "array", "items": _TEXT},
    "required": _STRINGS,
    "readonly": {"type": "boolean"},
    "confidential": {"type": "boolean"},
    "default": {},
    "enum": {"type": "array"},
    "pattern": _TEXT,
    "minimum": {"type": "number"},
    "maximum": {"type": "number"},
    "minLength": _COUNT,
    "maxLength": _COUNT,
    "minItems": _COUNT,
    "maxItems": _COUNT,
    "uniqueItems": {"type": "boolean"},
    "additionalItems": {"type": "boolean"},
    "items": {
        "type": "object",
        "properties": {"type": {"type": "string", "enum": _TYPES}, "enum": {"type": "array"}},
        "additionalProperties": False,
    },
}
_ASSOCIATION_FIELDS: Schema = {
    "name": _name("The resource type."),
    "prefix": _text("What the namespace's keys start with on this type, separator included.", LONGEST_NAME),
    "properties_target": _text("Which of the type's several sets of keys is meant.", LONGEST_NAME),
    **_TIMES,
}
_TAG_FIELDS: Schema = {"name": _name("The tag."), **_TIMES}
_OBJECT_FIELDS: Schema = {
    "name": _name("The object, which groups keys."),
    "description": _TEXT,
    "required": _STRINGS,
    "properties": _PROPERTIES,
    **_LINKS,
    **_TIMES,
}


def _fields(name: str, fields: Mapping[str, Any], required: Sequence[str]) -> Schema:
    return {"name": name, "properties": dict(fields), "additionalProperties": False, "required": list(required)}


def _nested(fields: Mapping[str, Any], required: Sequence[str]) -> Schema:
    return {"type": "object", "properties": dict(fields), "additionalProperties": False, "required": list(required)}


_DEFINITIONS: Schema = {
    "property": {
        "type": "object",
        "propertyNames": {"minLength": 1, "maxLength": LONGEST_NAME, "pattern": _IN_A_PATH},
        "additionalProperties": _nested(_PROPERTY_FIELDS, ("title", "type")),
    }
}
_NAMESPACE_FIELDS: Schema = {
    "namespace": _name("The namespace, named once in the cloud."),
    "display_name": _text("What people call the namespace.", 80),
    "description": _text("What the namespace is for.", 500),
    "visibility": {"type": "string", "enum": ["public", "private"], "description": "Who sees the namespace."},
    "protected": {"type": "boolean", "description": "Whether it is kept from being deleted."},
    "owner": _text("The project that owns the namespace.", 255),
    "resource_type_associations": {"type": "array", "items": _nested(_ASSOCIATION_FIELDS, ["name"])},
    "properties": _PROPERTIES,
    "objects": {"type": "array", "items": _nested(_OBJECT_FIELDS, ["name"])},
    "tags": {"type": "array", "items": _nested(_TAG_FIELDS, ["name"])},
    **_LINKS,
    **_TIMES,
}

NAMESPACE = _fields("namespace", _NAMESPACE_FIELDS, ["namespace"]) | {"definitions": _DEFINITIONS}
OBJECT = _fields("object", _OBJECT_FIELDS, ["name"]) | {"definitions": _DEFINITIONS}
PROPERTY = _fields("property", _PROPERTY_FIELDS, ["type", "title", "name"])
ASSOCIATION = _fields("resource_type_association", _ASSOCIATION_FIELDS, ["name"])
TAG = _fields("tag", _TAG_FIELDS, ["name"])
TAGS = _fields("tags", {"tags": {"type": "array", "items": _nested(_TAG_FIELDS, ["name"])}}, ["tags"])
"""The body of a bulk creation; `SERVED` has the schema of a list."""

_TYPE = _nested({"name": _TAG_FIELDS["name"], **_TIMES}, ["name"])
TYPES = _fields("resource_types", {"resource_types": {"type": "array", "items": _TYPE}}, ["resource_types"])
"""The list of resource types, for which the Images API serves no schema."""


def _collection(item: Schema, name: str) -> Schema:
    plain = {key: value for key, value in item.items() if key != "definitions"}
    shared = {"definitions": item["definitions"]} if "definitions" in item else {}
    return _list(name, {"type": "array", "items": plain}) | shared


def _list(name: str, items: Schema) -> Schema:
    links = {"first": "first", "next": "next", "schema": "describedby"}
    return {
        "name": name,
        "properties": {name: items, **dict.fromkeys(links, _TEXT)},
        "links": [{"rel": rel, "href": f"{{{field}}}"} for field, rel in links.items()],
    }


def _by_name(item: Schema, name: str) -> Schema:
    """A list whose items stand under their names."""
    unnamed = item | {"required": [field for field in item["required"] if field != "name"]}
    return _list(name, {"type": "object", "additionalProperties": unnamed})


SERVED: Mapping[str, Schema] = {
    "namespace": NAMESPACE,
    "namespaces": _collection(NAMESPACE, "namespaces"),
    "resource_type": ASSOCIATION,
    "resource_types": _collection(ASSOCIATION, "resource_type_associations"),
    "property": PROPERTY,
    "properties": _by_name(PROPERTY, "properties"),
    "object": OBJECT,
    "objects": _collection(OBJECT, "objects"),
    "tag": TAG,
    "tags": _collection(TAG, "tags"),
}
