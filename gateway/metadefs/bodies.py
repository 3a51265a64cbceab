"""What callers send about metadata definitions, checked by its schema and turned into records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError

from gateway.metadefs.library import Opened
from gateway.metadefs.records import Definition, Kind, Namespace
from gateway.metadefs.schemas import ASSOCIATION, NAMESPACE, OBJECT, PROPERTY, TAG, TAGS, Schema
from gateway.model.caller import Caller
from gateway.model.errors import BadRequest, Forbidden

Body = Mapping[str, Any]

_READ_ONLY = frozenset({"created_at", "updated_at", "self", "schema"})
_FIELDS = ("namespace", "display_name", "description", "visibility", "protected", "owner")


class _Checker:
    """Checks a body by one schema; `place` is where callers can read it."""

    def __init__(self, place: str, schema: Schema) -> None:
        self._place = place
        self._validator = Draft7Validator(schema)

    def check(self, body: Body) -> None:
        """Raises Forbidden for what only the service sets, BadRequest with up to three reasons."""
        for name in body:
            if name in _READ_ONLY:
                raise Forbidden(f"Attribute '{name}' is read-only.", remedy="Leave it out.", code="read-only")
        errors = sorted(self._validator.iter_errors(body), key=lambda error: [str(part) for part in error.path])
        if errors:
            reasons = "; ".join(_reason(error) for error in errors[:3])
            raise BadRequest(
                f"Provided object does not match schema '{self._place}': {reasons}",
                remedy=f"GET /v2/schemas/metadefs/{self._place} shows what each field takes.",
                code="bad-definition",
            )


_NAMESPACE = _Checker("namespace", NAMESPACE)
_TAGS = _Checker("tags", TAGS)
_DEFINITIONS: Mapping[Kind, _Checker] = {
    Kind.OBJECT: _Checker("object", OBJECT),
    Kind.PROPERTY: _Checker("property", PROPERTY),
    Kind.TAG: _Checker("tag", TAG),
    Kind.ASSOCIATION: _Checker("resource_type", ASSOCIATION),
}


def read_namespace(body: Body, caller: Caller, *, id: str, now: datetime) -> Opened:  # noqa: A002
    """A new namespace and its contents. Raises Forbidden for what only the service sets, BadRequest."""
    _NAMESPACE.check(body)
    fields = {name: body[name] for name in _FIELDS if name in body}
    namespace = Namespace(**{"owner": caller.project_id, **fields}, id=id, created_at=now, updated_at=now)
    return Opened(namespace, tuple(_contents(body, now)))


def read_namespace_change(body: Body, caller: Caller) -> Mapping[str, Any]:
    """All fields of a namespace: what is left out goes back to its default. Raises Forbidden, BadRequest."""
    _NAMESPACE.check(body)
    defaults = {
        "display_name": None,
        "description": None,
        "visibility": "private",
        "protected": False,
        "owner": caller.project_id,
    }
    return defaults | {name: body[name] for name in _FIELDS if name in body}


def read_definition(kind: Kind, body: Body, *, now: datetime) -> Definition:
    """Raises Forbidden, BadRequest."""
    _DEFINITIONS[kind].check(body)
    return _definition(kind, body["name"], body, now)


def read_tags(body: Body, *, now: datetime) -> tuple[Definition, ...]:
    """The tags of a bulk creation. Raises Forbidden, BadRequest."""
    _TAGS.check(body)
    return tuple(_definition(Kind.TAG, tag["name"], tag, now) for tag in body["tags"])


def _contents(body: Body, now: datetime) -> Iterator[Definition]:
    named = {Kind.ASSOCIATION: "resource_type_associations", Kind.OBJECT: "objects", Kind.TAG: "tags"}
    for kind, field in named.items():
        for one in body.get(field, ()):
            yield _definition(kind, one["name"], one, now)
    for name, one in body.get("properties", {}).items():
        yield _definition(Kind.PROPERTY, name, one, now)


def _definition(kind: Kind, name: str, body: Body, now: datetime) -> Definition:
    """A property keeps the name it was sent with in its body, as lists of properties show it."""
    left_out = _READ_ONLY if kind is Kind.PROPERTY else _READ_ONLY | {"name"}
    kept = {field: value for field, value in body.items() if field not in left_out}
    return Definition(kind=kind, name=name, body=kept, created_at=now, updated_at=now)


def _reason(error: ValidationError) -> str:
    place = "/".join(str(part) for part in error.path)
    said = error.message if len(error.message) <= 200 else f"{error.message[:200]}..."
    return f"{place[:100]}: {said}" if place else said
