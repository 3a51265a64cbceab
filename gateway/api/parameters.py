"""Parameters of the API by name, for `/openapi.json`: in paths, in query strings, and in headers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.api.image_schema import STATUSES
from gateway.api.listing import COUNTS, MEMBER_STATUSES, SORT_KEYS
from gateway.api.query_values import DEFAULT_LIMIT, MAX_LIMIT
from gateway.api.record_schemas import TASK_TYPES
from gateway.api.tasks import SORT_KEYS as TASK_SORT_KEYS
from gateway.api.tasks import STATUSES as TASK_STATUSES
from gateway.model.image import VISIBILITIES

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_UUID: Schema = {"type": "string", "format": "uuid"}
_LABEL: Schema = {"type": "string", "minLength": 1, "maxLength": 255}
_FLAG: Schema = {"type": "string", "enum": ["true", "false"]}
_COUNT: Schema = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
_TIME: Schema = {"type": "string", "pattern": r"^((eq|neq|gt|gte|lt|lte):)?[0-9]{4}-[0-9]{2}-[0-9]{2}"}

_SEGMENT: Schema = {**_LABEL, "pattern": r"^[^\x00-\x1f\x7f/\\]+$"}
PATH: Mapping[str, Schema] = {"image_id": _UUID, "task_id": _UUID}
"""Parameters of paths that are more than a label."""

_PAGING: Mapping[str, tuple[str, Schema]] = {
    "limit": (f"Most entries of a page; {DEFAULT_LIMIT} if left out, never more than {MAX_LIMIT}.", _COUNT),
    "marker": ("The id of the last entry of the page before.", _UUID),
}

_SORTING: Mapping[str, tuple[str, Schema]] = {
    "sort_key": ("Sort by this key; it may be repeated.", {"type": "array", "items": _TEXT | {"enum": [*SORT_KEYS]}}),
    "sort_dir": (
        "Which way to sort: once, or once for each key.",
        {"type": "array", "items": {"type": "string", "enum": ["asc", "desc"]}},
    ),
    "sort": ("Keys and ways in one: `name:asc,size`.", _TEXT),
}

_IMAGES: Mapping[str, tuple[str, Schema]] = {
    **_PAGING,
    **_SORTING,
    "id": ("This image, or `in:` a list.", _TEXT),
    "name": ("Images of this name, or `in:` a list.", _TEXT),
    "owner": ("Images of this project, or `in:` a list.", _TEXT),
    "status": ("Images in this status, or `in:` a list.", {"type": "string", "enum": [*STATUSES]}),
    "visibility": ("Images of this visibility.", {"type": "string", "enum": [*VISIBILITIES, "all"]}),
    "member_status": ("Shared images whose sharing was answered so.", {"type": "string", "enum": [*MEMBER_STATUSES]}),
    "os_hidden": ("Hidden images instead of the others.", _FLAG),
    "protected": ("Images that are protected, or not.", _FLAG),
    "tag": ("Images with this tag; repeated, with all of them.", {"type": "array", "items": _LABEL}),
    "disk_format": ("Images of this disk format, or `in:` a list.", _TEXT),
    "container_format": ("Images of this container format, or `in:` a list.", _TEXT),
    **{name: (f"Images whose {name} is this.", _COUNT) for name in COUNTS},
    **{f"{name}_min": (f"Images whose {name} is at least this.", _COUNT) for name in COUNTS},
    **{f"{name}_max": (f"Images whose {name} is at most this.", _COUNT) for name in COUNTS},
    "created_at": ("Images made at this time, or `gt:`, `gte:`, `lt:`, `lte:`, `neq:` it.", _TIME),
    "updated_at": ("Images changed at this time, or with an operator before it.", _TIME),
}

_TASKS: Mapping[str, tuple[str, Schema]] = {
    **_PAGING,
    "type": ("Tasks of this type.", {"type": "string", "enum": [*TASK_TYPES]}),
    "status": ("Tasks in this status.", {"type": "string", "enum": [*TASK_STATUSES]}),
    "owner": ("Tasks for images of this project.", _TEXT),
    "sort_key": ("Sort by this key.", {"type": "string", "enum": [*TASK_SORT_KEYS]}),
    "sort_dir": ("Which way to sort.", {"type": "string", "enum": ["asc", "desc"]}),
}

_DOWNLOAD: Mapping[str, tuple[str, Schema]] = {
    "prefer": ("Stores to read from where one of them has the image, separated by commas.", _TEXT)
}

_HEADERS: Mapping[str, tuple[str, Schema]] = {
    "x-image-meta-store": ("The store to write to; the default store if left out.", _TEXT),
    "x-openstack-image-size": ("How many bytes the body has.", _COUNT),
    "Tus-Resumable": ("The version of tus that is spoken.", {"type": "string", "const": "1.0.0"}),
    "Upload-Complete": ("Whether the upload ends with this request.", {"type": "string", "enum": ["?0", "?1"]}),
    "Upload-Length": ("How many bytes the whole upload has.", _COUNT),
    "Upload-Defer-Length": ("The length is said later.", {"type": "string", "const": "1"}),
    "Upload-Offset": ("Where the body's first byte belongs in the upload.", _COUNT),
    "Upload-Metadata": ("Keys and Base64 values, told again and else of no effect.", _TEXT),
    "Range": ("One range of bytes (RFC 9110, 14.2).", {"type": "string", "pattern": "^bytes=[0-9]*-[0-9]*$"}),
}

REQUEST_ID: Schema = {
    "name": "x-openstack-request-id",
    "in": "header",
    "description": "The caller's own id of this request; answers carry it, or a fresh one.",
    "schema": {"type": "string", "maxLength": 64},
}


def _in(place: str, known: Mapping[str, tuple[str, Schema]]) -> list[Schema]:
    return [
        {"name": name, "in": place, "description": description, "schema": schema}
        for name, (description, schema) in known.items()
    ]


PARAMETERS: Mapping[str, list[Schema]] = {
    "images": _in("query", _IMAGES),
    "tasks": _in("query", _TASKS),
    "download": _in("query", _DOWNLOAD),
    "stops": _in("query", {"all": ("Lifted stops too.", _FLAG)}),
    "lift": _in("query", {"reason": ("Why it is lifted.", _TEXT)}),
    **{one["name"]: [one] for one in _in("header", _HEADERS)},
}
"""Groups of parameters that contracts name: the queries of lists, and single headers."""


def path_parameter(name: str) -> Schema:
    """A parameter of a path; what is not said otherwise is a label of 1 to 255 characters."""
    return {"name": name, "in": "path", "required": True, "schema": PATH.get(name, _SEGMENT)}
