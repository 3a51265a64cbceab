"""The fast check of a schema says the same as jsonschema, about every part of every schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from gateway.policy.fitting import fitting
from gateway.policy.reader import Node, Source, plain, read_yaml
from gateway.policy.schemacheck import inlined
from gateway.shipped_files import shipped

SCHEMAS = ("policy", "policy-test", "settings")
TEXTS = [
    "",
    "a",
    "all",
    "enforce",
    "sets.a",
    "20GiB",
    "4h",
    "p/r",
    "-",
    "a b",
    "x" * 256,
    "2027-01-01T00:00:00Z",
    "é\n",
]
PLAIN: list[Any] = [*TEXTS, None, True, False, -1, 0, 1, 2, 443, 65535, 65536]
FEW: list[Any] = [
    [],
    ["a"],
    ["a", "a"],
    ["all", 1],
    [None],
    [["a"]],
    [443, 0],
    {},
    {"a": "b"},
    {"id": "r"},
    {"a-b": []},
]
OPTIONS = [{"inspect": {}}, {"inspect": {"a": 1}}, {"inspect": {"a": None}}, {"inspect": {"a": 1}, "b": {}}]
VALUES = [*PLAIN, *FEW, [OPTIONS[1]], *OPTIONS, {"hosts": ["a"]}, {"projects": "sets.a"}, {"tags": ["a", ""]}]


def node(value: object) -> Node:
    return read_yaml(Source("x.yaml", json.dumps({"value": value}, ensure_ascii=False).encode())).value["value"].node


@cache
def schema(name: str) -> dict[str, Any]:
    written = json.loads((shipped("schemas") / f"{name}.schema.json").read_text())
    whole: dict[str, Any] = inlined(written, written.get("$defs", {}))
    return whole


def parts(whole: object) -> Iterator[dict[str, Any]]:
    """The schema and all schemas in it."""
    if isinstance(whole, dict):
        yield whole
        for key, value in whole.items():
            inside = value.values() if key == "properties" else [value]
            yield from (part for one in inside for part in parts(one))


def agree(part: dict[str, Any], tree: Node) -> None:
    valid = Draft202012Validator(part).is_valid(plain(tree))
    assert fitting(part)(tree.value) == valid, (part, plain(tree), valid)


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_part_of_a_schema_fits_the_values_that_jsonschema_takes(name: str) -> None:
    trees = [node(value) for value in VALUES]
    for part in {json.dumps(part): part for part in parts(schema(name))}.values():
        fits, validator = fitting(part), Draft202012Validator(part)
        for tree in trees:
            value = plain(tree)
            assert fits(tree.value) == validator.is_valid(value), (part, value)


@st.composite
def documents(draw: st.DrawFn) -> Any:
    """A shipped policy file, with a few things in it changed, taken out, or added."""
    name = draw(st.sampled_from(sorted(shipped("policies").rglob("*.yaml"))))
    whole = plain(read_yaml(Source("x.yaml", name.read_bytes())))
    for _ in range(draw(st.integers(0, 3))):
        inside = draw(st.sampled_from(list(_collections(whole))))
        keys = list(inside) if isinstance(inside, dict) else list(range(len(inside)))
        if keys and draw(st.booleans()):
            del inside[draw(st.sampled_from(keys))]
        elif isinstance(inside, dict):
            inside[draw(st.sampled_from([*keys, "rules", "within", "for", "a"]))] = draw(st.sampled_from(VALUES))
        else:
            inside.append(draw(st.sampled_from(VALUES)))
        whole = json.loads(json.dumps(whole))  # what was put in is not to be changed in VALUES too
    return whole


def _collections(value: object) -> Iterator[Any]:
    if isinstance(value, (dict, list)):
        yield value
        for inside in value.values() if isinstance(value, dict) else value:
            yield from _collections(inside)


@settings(deadline=None, max_examples=150)
@given(documents(), st.sampled_from(("policy", "policy-test")))
def test_whole_files_fit_as_jsonschema_says(document: object, name: str) -> None:
    agree(schema(name), node(document))


NUMBERS: dict[str, Any] = {"type": "number", "exclusiveMinimum": 1}
ODD: list[dict[str, Any]] = [
    {"const": 1},
    {"const": True},
    {"const": ["a"]},
    {"enum": [0, "a", None, {"a": "b"}]},
    {"pattern": "ets"},
    {"oneOf": [{"type": "string"}, {"minLength": 2}]},
    {"items": False},
    {"properties": {"a": False, "id": True}, "additionalProperties": NUMBERS},
    {"patternProperties": {"^a": {"type": "integer"}}, "additionalProperties": False},
    {"propertyNames": {"maxLength": 1, "not": {"const": "a"}}},
    {"uniqueItems": True},
    {"type": ["array", "null"], "contains": {"const": "a"}},
    {"anyOf": [NUMBERS, {"required": ["a"]}]},
    {"description": "anything"},
]


@pytest.mark.parametrize("part", ODD)
def test_keywords_that_are_not_known_are_left_to_jsonschema(part: dict[str, Any]) -> None:
    for value in VALUES:
        agree(part, node(value))
