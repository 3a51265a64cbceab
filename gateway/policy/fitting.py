"""Whether a tree fits a JSON Schema: only yes or no, and many times faster than finding out why not.

A schema becomes checks for each kind of value, once. Keywords of JSON Schema (draft 2020-12) that are not known here
are left to jsonschema, which also words every problem; see schemacheck.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator

from gateway.policy.reader import Entry, Node, plain_value

Schema = Mapping[str, Any] | bool
Check = Callable[[Any], bool]
"""Takes a value as `Node.value` holds it."""

_KINDS: Mapping[str, type] = {
    "string": str,
    "integer": int,
    "number": int,
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}
"""JSON Schema's types as the reader makes them: it has no floats, and `bool` is not `int` here."""
_EACH = frozenset(_KINDS.values())
_SAYS_NOTHING = frozenset({"$schema", "title", "description", "default", "examples", "type"})


def fitting(schema: Schema) -> Check:
    """A function that says whether a value and all below it fit the schema, which must hold no `$ref`."""
    if isinstance(schema, bool):
        return lambda value: schema
    if not _known(schema):
        validator = Draft202012Validator(schema)
        return lambda value: validator.is_valid(plain_value(value))
    table = {kind: tuple(_checks(schema, kind)) for kind in _kinds(schema)}

    def fits(value: Any) -> bool:
        checks = table.get(type(value))
        if checks is None:
            return False
        for check in checks:  # noqa: SIM110 - a generator for each value would cost more than the checks
            if not check(value):
                return False
        return True

    return fits


def _known(schema: Mapping[str, Any]) -> bool:
    listed = [*schema.get("enum", ()), schema.get("const")]
    plain = all(isinstance(value, (str, int, bool, type(None))) for value in listed)
    known = (key in _KEYWORDS or key in _ENTRIES or key in _SAYS_NOTHING or key.startswith("x-") for key in schema)
    return plain and all(known)


def _kinds(schema: Mapping[str, Any]) -> frozenset[type]:
    """The types of values that may fit."""
    wanted = schema.get("type", list(_KINDS))
    return frozenset(_KINDS[kind] for kind in ([wanted] if isinstance(wanted, str) else wanted))


def _checks(schema: Mapping[str, Any], kind: type) -> Iterator[Check]:
    """What a value of that type has to pass. A keyword about other types says nothing about it."""
    for keyword in schema.keys() & _KEYWORDS.keys():
        about, make = _KEYWORDS[keyword]
        if kind in about:
            yield make(schema[keyword])
    if kind is dict and schema.keys() & _ENTRIES:
        yield _entries(schema.get("properties", {}), schema.get("additionalProperties", True))


def _among(listed: Iterable[Any]) -> Check:
    known = {(type(value), value) for value in listed}  # with the type, as 1 and true are equal in Python
    return lambda value: (type(value), value) in known if isinstance(value, (str, int, type(None))) else False


def _matches(pattern: str) -> Check:
    search = re.compile(pattern).search
    return lambda value: search(value) is not None


def _has(names: Iterable[str]) -> Check:
    needed = frozenset(names)
    return lambda value: needed <= value.keys()


def _each_item(schema: Schema) -> Check:
    fits = fitting(schema)

    def check(items: list[Node]) -> bool:
        for item in items:  # noqa: SIM110 - as above
            if not fits(item.value):
                return False
        return True

    return check


def _each_name(schema: Schema) -> Check:
    fits = fitting(schema)
    return lambda value: all(map(fits, value))


def _entries(properties: Mapping[str, Schema], others: Schema) -> Check:
    known = {name: fitting(schema) for name, schema in properties.items()}
    rest = fitting(others)

    def check(entries: dict[str, Entry]) -> bool:
        for name, entry in entries.items():  # noqa: SIM110 - as above
            if not known.get(name, rest)(entry.node.value):
                return False
        return True

    return check


def _at_least(length: int) -> Check:
    return lambda value: len(value) >= length


def _at_most(length: int) -> Check:
    return lambda value: len(value) <= length


_ENTRIES = frozenset({"properties", "additionalProperties"})
_KEYWORDS: Mapping[str, tuple[frozenset[type], Callable[[Any], Check]]] = {
    "const": (_EACH, lambda wanted: _among([wanted])),
    "enum": (_EACH, _among),
    "pattern": (frozenset({str}), _matches),
    "minLength": (frozenset({str}), _at_least),
    "maxLength": (frozenset({str}), _at_most),
    "minimum": (frozenset({int}), lambda least: lambda value: value >= least),
    "maximum": (frozenset({int}), lambda most: lambda value: value <= most),
    "items": (frozenset({list}), _each_item),
    "minItems": (frozenset({list}), _at_least),
    "maxItems": (frozenset({list}), _at_most),
    "required": (frozenset({dict}), _has),
    "propertyNames": (frozenset({dict}), _each_name),
    "minProperties": (frozenset({dict}), _at_least),
    "maxProperties": (frozenset({dict}), _at_most),
}
"""The types each keyword is about, and what makes a check of what is written there."""
