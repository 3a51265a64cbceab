"""Image patches: RFC 6902's add, replace and remove on single fields, in both of the API's media types.

v2.0 names the operation by key (`{"replace": "/name", "value": ...}`), v2.1 by `op` and `path`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.api.bodies import media_type
from gateway.api.errors import PATCH_TYPES
from gateway.api.image_values import SETTABLE, ImageReader, Values, check_name, check_rights, unique
from gateway.model.caller import Caller
from gateway.model.errors import BadRequest, Conflict, Forbidden, WrongMediaType
from gateway.model.image import Image, Status

OPERATIONS = ("add", "replace", "remove")
_FORMATS = ("disk_format", "container_format")
_FORMATS_OPEN = frozenset({Status.QUEUED, Status.UPLOADING})
_PART = re.compile(r"/(?P<name>locations)/(?P<at>-|[0-9]{1,4})")
_BAD_ESCAPE = re.compile(r"~(?![01])")


@dataclass(frozen=True, slots=True)
class Change:
    """One operation on one field. `strict_add`: adding what is there is a conflict (the v2.0 media type).

    `at` is which one of `locations`: an index, or `-` for a new last one; only that field has parts.
    """

    operation: str
    name: str
    value: Any = None
    strict_add: bool = False
    at: str = ""


def check_patch_type(content_type: str | None) -> str:
    """The media type of a patch. Raises WrongMediaType (415)."""
    sent = media_type(content_type)
    if sent not in PATCH_TYPES:
        raise WrongMediaType(
            f"Image PATCH expects Content-Type one of: {', '.join(PATCH_TYPES)}.",
            remedy=f"Send Content-Type: {PATCH_TYPES[-1]}.",
        )
    return sent


def parse_patch(body: object, content_type: str | None) -> tuple[Change, ...]:
    """The changes of a patch body, in order. Raises WrongMediaType, BadRequest."""
    keyed = check_patch_type(content_type) == PATCH_TYPES[0]
    if not isinstance(body, list):
        raise _bad("Request body must be a JSON array of operation objects.")
    return tuple(_change(raw, keyed) for raw in body)


def apply(image: Image, changes: Sequence[Change], caller: Caller, reader: ImageReader) -> Values:
    """What changes, as values for `change_image`; empty where nothing does. The image itself stays as it is.

    Raises Forbidden, Conflict (a property that is not there), BadRequest (bad values), TooLarge.
    """
    fields: Values = {name: getattr(image, name) for name in SETTABLE}
    properties = dict(image.properties)
    for change in changes:
        _apply(change, fields, properties, reader)
    values = {name: value for name, value in fields.items() if value != getattr(image, name)}
    if properties != image.properties:
        values["properties"] = properties
    _check_result(image, values, caller, reader)
    return values


def _change(raw: object, keyed: bool) -> Change:
    if not isinstance(raw, dict):
        raise _bad("Operations must be JSON objects.")
    operation, pointer = _keyed(raw) if keyed else _named(raw)
    if operation != "remove" and "value" not in raw:
        raise _bad(f'Operation "{operation}" requires a member named "value".')
    part = _PART.fullmatch(pointer) if isinstance(pointer, str) else None
    name, at = (part["name"], part["at"]) if part else (_field(pointer), "")
    return Change(operation, name, raw.get("value"), strict_add=keyed, at=at)


def _keyed(raw: Mapping[str, Any]) -> tuple[str, Any]:
    named = [operation for operation in OPERATIONS if operation in raw]
    if len(named) != 1:
        raise _bad('An operation must have exactly one member named "add", "remove" or "replace".')
    return named[0], raw[named[0]]


def _named(raw: Mapping[str, Any]) -> tuple[str, Any]:
    operation = raw.get("op")
    if operation not in OPERATIONS:
        raise _bad('An operation\'s "op" must be "add", "remove" or "replace".')
    return str(operation), raw.get("path")


def _field(pointer: object) -> str:
    """The one field a JSON pointer (RFC 6901) names."""
    if not isinstance(pointer, str) or not pointer.startswith("/"):
        raise _bad('An operation\'s path must be a string that starts with "/".')
    if "/" in pointer[1:] or _BAD_ESCAPE.search(pointer):
        raise _bad(f"Invalid JSON pointer for this resource: '{pointer[:300]}'.")
    return pointer[1:].replace("~1", "/").replace("~0", "~")


def _apply(change: Change, fields: Values, properties: dict[str, str], reader: ImageReader) -> None:
    check_name(change.name)
    if change.name == "id":
        raise Forbidden("Attribute 'id' is read-only.", remedy="Leave it out.", code="read-only")
    _check_presence(change, fields, properties)
    if change.operation == "remove":
        del properties[change.name]
        return
    reader.check({change.name: change.value})
    if change.name in fields:
        fields[change.name] = unique(change.value) if change.name == "tags" else change.value
    elif change.value is None:
        properties.pop(change.name, None)
    else:
        properties[change.name] = change.value


def _check_presence(change: Change, fields: Values, properties: Mapping[str, str]) -> None:
    if change.operation == "remove" and change.name in fields:
        raise Forbidden(
            f"Property {change.name} may not be removed.", remedy="Replace its value.", code="base-property"
        )
    present = change.name in fields or change.name in properties
    if change.operation != "add" and not present:
        raise Conflict(f"Property {change.name} does not exist.", remedy="Add it.", code="no-such-property")
    if change.operation == "add" and present and change.strict_add:
        raise Conflict(f"Property {change.name} already present.", remedy="Replace it.", code="property-exists")


def _check_result(image: Image, values: Values, caller: Caller, reader: ImageReader) -> None:
    """Rights and limits count for what the patch changes; an image over a lowered limit may still be edited."""
    check_rights(values, caller)
    _check_formats(image, values)
    properties, tags = values.get("properties", ()), values.get("tags", ())
    reader.check_limits(
        len(properties) if len(properties) > len(image.properties) else 0,
        len(tags) if len(tags) > len(image.tags) else 0,
    )


def _check_formats(image: Image, values: Values) -> None:
    """Formats stay open until the bytes are judged by them: staging before naming them is no dead end."""
    for name in _FORMATS:
        if name in values and image.status not in _FORMATS_OPEN:
            raise Forbidden(
                f"Attribute {name} can be replaced for a queued or uploading image only; this one is {image.status}.",
                remedy="Create a new image with the right format.",
                code="format-fixed",
            )


def _bad(message: str) -> BadRequest:
    return BadRequest(
        message, remedy='Send a list like [{"op": "replace", "path": "/name", "value": "n"}].', code="bad-patch"
    )
