"""A JSON Schema held against a tree with places: every deviation as a problem at the key or value it is about.

Besides the keywords of JSON Schema (draft 2020-12) a schema may name a problem's code and hint for a value whose
pattern does not fit: `x-code` and `x-hint`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from gateway.policy.fitting import Check, fitting
from gateway.policy.problems import MOST, Problem
from gateway.policy.reader import Node, plain
from gateway.policy.spelling import suggestion

_KINDS = {
    "string": "text",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}

Path = tuple[str | int, ...]


def check_schema(node: Node, schema: Mapping[str, Any]) -> list[Problem]:
    """Everything in the tree that the schema does not allow."""
    return [problem for _, problem in located(node, schema)]


def located(node: Node, schema: Mapping[str, Any]) -> list[tuple[Path, Problem]]:
    """The problems with the path of the value each is about."""
    fits, validator = _made(_Key(schema))
    if fits(node.value):
        return []
    found = []
    for error in validator.iter_errors(plain(node)):
        path: Path = tuple(error.absolute_path)
        found += [(path, problem) for problem in islice(_worded(error, reach(node, path)), MOST + 1)]
        if len(found) > MOST:
            break
    return found


def reach(node: Node, path: Path) -> Node:
    """The node at a path that exists."""
    for step in path:
        node = node.value[step] if isinstance(step, int) else node.value[step].node
    return node


class _Key:
    """Lets the cache hold a validator for each schema object: a dict has no hash."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = schema

    def __hash__(self) -> int:
        return id(self.schema)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.schema is other.schema


@lru_cache(maxsize=16)
def _made(key: _Key) -> tuple[Check, Draft202012Validator]:
    """What answers soon that all is well, and what is asked for the words where it is not."""
    schema = inlined(key.schema, key.schema.get("$defs", {}))
    return fitting(schema), Draft202012Validator(schema)


def inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """The schema with `#/$defs/...` written out: looking references up is a fifth of a check's time."""
    if isinstance(schema, list):
        return [inlined(item, definitions) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    target = definitions[schema["$ref"].removeprefix("#/$defs/")] if "$ref" in schema else {}
    whole = {**target, **schema}
    return {key: inlined(value, definitions) for key, value in whole.items() if key not in ("$ref", "$defs")}


def _worded(error: ValidationError, node: Node) -> Iterator[Problem]:
    words = _bad_key_name if "propertyNames" in error.schema_path else _WORDS.get(str(error.validator))
    if words is None:
        yield node.problem("bad-value", error.message, _hint(error))
    else:
        yield from words(error, node)


def _hint(error: ValidationError, otherwise: str = "") -> str:
    schema = error.schema if isinstance(error.schema, Mapping) else {}
    return str(schema.get("x-hint", otherwise))


def _unknown_keys(error: ValidationError, node: Node) -> Iterator[Problem]:
    known = error.schema.get("properties", {}) if isinstance(error.schema, Mapping) else {}
    for key in node.value:
        if key not in known:
            yield node.key(key).problem("unknown-key", f"'{key}' is not a key here", suggestion(key, known))


def _missing_key(error: ValidationError, node: Node) -> Iterator[Problem]:
    missing = error.message.split("'")[1]
    yield node.problem("missing-key", f"'{missing}' is missing", _hint(error))


def _wrong_kind(error: ValidationError, node: Node) -> Iterator[Problem]:
    wanted: Any = error.validator_value
    kinds: list[str] = [wanted] if isinstance(wanted, str) else list(wanted)
    found = _KINDS[kind_of(node.value)]
    message = f"this is {found}; it must be {' or '.join(_KINDS[kind] for kind in kinds)}"
    yield node.problem("wrong-type", message, _hint(error, _quote_hint(node, kinds)))


def kind_of(value: object) -> str:
    """JSON Schema's name for the type of a read value."""
    if isinstance(value, bool):
        return "boolean"
    names = {str: "string", int: "integer", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _quote_hint(node: Node, kinds: list[str]) -> str:
    if "string" in kinds and isinstance(node.value, (int, bool)):
        return f'write it in quotes: "{node.line[node.place.column - 1 :][: node.width]}"'
    if kinds == ["boolean"] and node.value in ("yes", "no", "on", "off"):
        return "write true" if node.value in ("yes", "on") else "write false"
    return "write it in brackets: [...]" if kinds == ["array"] and isinstance(node.value, str) else ""


def _not_listed(error: ValidationError, node: Node) -> Iterator[Problem]:
    listed: Any = error.validator_value
    known = [str(value) for value in listed]
    hint = suggestion(str(node.value), known) or f"it is one of {', '.join(known)}"
    yield node.problem("unknown-value", f"{_quoted(node)} is not known here", hint)


def _not_const(error: ValidationError, node: Node) -> Iterator[Problem]:
    yield node.problem("unknown-value", f"{_quoted(node)} is not known here", f"it must be {error.validator_value}")


def _bad_pattern(error: ValidationError, node: Node) -> Iterator[Problem]:
    schema = error.schema if isinstance(error.schema, Mapping) else {}
    what = str(schema.get("x-what", "written as it must be here"))
    yield node.problem(str(schema.get("x-code", "bad-value")), f"{_quoted(node)} is not {what}", _hint(error))


def _bad_key_name(error: ValidationError, node: Node) -> Iterator[Problem]:
    name = node.value.get(error.instance)
    yield (name.key if name else node).problem("bad-key", f"'{error.instance}' is not a name", _hint(error))


def _empty(error: ValidationError, node: Node) -> Iterator[Problem]:
    yield node.problem("empty", "this is empty", _hint(error, "name at least one, or leave the key out"))


def _range(error: ValidationError, node: Node) -> Iterator[Problem]:
    side = "at least" if error.validator in ("minimum", "exclusiveMinimum") else "at most"
    yield node.problem("out-of-range", f"{_quoted(node)} must be {side} {error.validator_value}", _hint(error))


def _too_long(error: ValidationError, node: Node) -> Iterator[Problem]:
    yield node.problem("too-long", f"this is longer than {error.validator_value}", _hint(error))


def _repeated(error: ValidationError, node: Node) -> Iterator[Problem]:
    yield node.problem("repeated", "a value appears twice", _hint(error, "keep one of them"))


def _quoted(node: Node) -> str:
    return f"'{str(node.value)[:80]}'" if not isinstance(node.value, (dict, list)) else "this"


_WORDS: Mapping[str, Callable[[ValidationError, Node], Iterator[Problem]]] = {
    "additionalProperties": _unknown_keys,
    "required": _missing_key,
    "type": _wrong_kind,
    "enum": _not_listed,
    "const": _not_const,
    "pattern": _bad_pattern,
    **dict.fromkeys(("minItems", "minProperties", "minLength"), _empty),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _range),
    **dict.fromkeys(("maxItems", "maxProperties", "maxLength"), _too_long),
    "uniqueItems": _repeated,
}
