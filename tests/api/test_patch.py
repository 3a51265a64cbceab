"""Image patches in both media types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonpatch import JsonPatch

from gateway.api.errors import PATCH_TYPES
from gateway.api.image_schema import ImageRules
from gateway.api.image_values import ImageReader
from gateway.api.patch import apply, parse_patch
from gateway.api.wire import image_json
from gateway.model.caller import Caller
from gateway.model.errors import BadRequest, Conflict, Forbidden, Refusal, TooLarge, WrongMediaType
from gateway.model.image import Image, Status
from tests.api.records import ADMIN, ID, MEMBER, image

V20, V21 = PATCH_TYPES
READER = ImageReader(ImageRules(max_properties=4, max_tags=2))
IMAGE = image(name="old", properties={"free": "1", "a/b~c": "2"}, tags=("t",))


def patched(*operations: Mapping[str, Any], of: Image = IMAGE, by: Caller = MEMBER, kind: str = V21) -> dict[str, Any]:
    return apply(of, parse_patch(list(operations), kind), by, READER)


def op(operation: str, path: str, *value: Any) -> dict[str, Any]:
    return {"op": operation, "path": path, **({"value": value[0]} if value else {})}


@pytest.mark.parametrize(
    ("operation", "values"),
    [
        (op("replace", "/name", "new"), {"name": "new"}),
        (op("add", "/name", "new"), {"name": "new"}),
        (op("replace", "/name", None), {"name": None}),
        (op("replace", "/name", "old"), {}),
        (op("replace", "/tags", ["b", "a", "b"]), {"tags": ("b", "a")}),
        (op("replace", "/tags", ["t", "t"]), {}),
        (op("add", "/new", "3"), {"properties": {"free": "1", "a/b~c": "2", "new": "3"}}),
        (op("add", "/free", "3"), {"properties": {"free": "3", "a/b~c": "2"}}),
        (op("replace", "/free", "3"), {"properties": {"free": "3", "a/b~c": "2"}}),
        (op("replace", "/a~1b~0c", "3"), {"properties": {"free": "1", "a/b~c": "3"}}),
        (op("add", "/~01", "3"), {"properties": {"free": "1", "a/b~c": "2", "~1": "3"}}),
        (op("remove", "/a~1b~0c"), {"properties": {"free": "1"}}),
        (op("add", "/kernel_id", None), {}),
        (op("replace", "/visibility", "community"), {"visibility": "community"}),
        (op("replace", "/disk_format", "qcow2"), {"disk_format": "qcow2"}),
    ],
)
def test_single_changes(operation: dict[str, Any], values: dict[str, Any]) -> None:
    assert patched(operation) == values


def test_changes_build_on_each_other_and_the_image_stays() -> None:
    before = dict(IMAGE.properties)
    changes = [op("remove", "/free"), op("add", "/free", "2"), op("add", "/x", "1"), op("remove", "/x")]
    assert patched(*changes) == {"properties": {"free": "2", "a/b~c": "2"}}
    assert IMAGE.properties == before


@pytest.mark.parametrize(
    ("operation", "refusal"),
    [
        (op("replace", "/zork", "x"), Conflict),
        (op("remove", "/zork"), Conflict),
        (op("remove", "/name"), Forbidden),
        (op("remove", "/tags"), Forbidden),
        (op("remove", "/visibility"), Forbidden),
        (op("replace", "/id", ID), Forbidden),
        (op("replace", "/status", "active"), Forbidden),
        (op("add", "/size", 5), Forbidden),
        (op("replace", "/os_hash_value", "0"), Forbidden),
        (op("replace", "/stores", "a"), Forbidden),
        (op("add", "/os_glance_import_task", "x"), Forbidden),
        (op("remove", "/os_glance_import_task"), Forbidden),
        (op("replace", "/locations", []), Forbidden),
        (op("replace", "/owner", "p2"), Forbidden),
        (op("replace", "/owner", None), Forbidden),
        (op("replace", "/visibility", "public"), Forbidden),
        (op("replace", "/visibility", "zork"), BadRequest),
        (op("replace", "/min_ram", -1), BadRequest),
        (op("replace", "/protected", "yes"), BadRequest),
        (op("replace", "/tags", None), BadRequest),
        (op("add", "/free", 5), BadRequest),
        (op("add", "/free", None), BadRequest),
        (op("add", "/tags/-", "x"), BadRequest),
        (op("add", "/locations/-", {}), Forbidden),
        (op("add", "/", "x"), BadRequest),
        (op("add", "", "x"), BadRequest),
        (op("add", "name", "x"), BadRequest),
        (op("add", "/bad~2", "x"), BadRequest),
        (op("add", "/bad~", "x"), BadRequest),
        (op("add", "/" + "a" * 256, "x"), BadRequest),
        (op("replace", "/name"), BadRequest),
        (op("test", "/name", "old"), BadRequest),
        (op("move", "/name", "x"), BadRequest),
        ({"op": "replace", "value": "x"}, BadRequest),
        ({"op": ["replace"], "path": "/name", "value": "x"}, BadRequest),
        ({"op": "replace", "path": ["name"], "value": "x"}, BadRequest),
        ({"path": "/name", "value": "x"}, BadRequest),
        ({"replace": "/name", "value": "x"}, BadRequest),
        (op("replace", "/tags", ["a", "b", "c"]), TooLarge),
    ],
)
def test_refused_changes(operation: dict[str, Any], refusal: type[Refusal]) -> None:
    with pytest.raises(refusal) as refused:
        patched(operation)
    assert type(refused.value) is refusal


def test_admins_give_and_publish() -> None:
    assert patched(op("replace", "/owner", "p2"), by=ADMIN) == {"owner": "p2"}
    assert patched(op("replace", "/visibility", "public"), by=ADMIN) == {"visibility": "public"}


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("name", ["disk_format", "container_format"])
def test_formats_are_open_until_the_bytes_are_judged(status: Status, name: str) -> None:
    value = {"disk_format": "qcow2", "container_format": "bare"}[name]
    of = replace(IMAGE, status=status)
    assert patched(op("replace", f"/{name}", None), of=of) == {}
    if status in (Status.QUEUED, Status.UPLOADING):
        assert patched(op("replace", f"/{name}", value), of=of) == {name: value}
    else:
        with pytest.raises(Forbidden, match=name):
            patched(op("replace", f"/{name}", value), of=of)


def test_a_lowered_limit_still_lets_people_edit_and_shrink() -> None:
    crowded = replace(IMAGE, properties={str(n): "x" for n in range(6)})
    assert patched(op("remove", "/0"), of=crowded)
    assert patched(op("replace", "/0", "y"), of=crowded)
    with pytest.raises(TooLarge, match="7 properties"):
        patched(op("add", "/6", "x"), of=crowded)


def test_the_older_media_type_names_the_operation_by_its_key() -> None:
    assert patched({"replace": "/name", "value": "new"}, kind=V20) == {"name": "new"}
    assert patched({"remove": "/free"}, kind=V20) == {"properties": {"a/b~c": "2"}}
    with pytest.raises(Conflict, match="already present"):
        patched({"add": "/free", "value": "3"}, kind=V20)
    for bad in ({"add": "/a", "remove": "/b", "value": "x"}, {"value": "x"}, op("add", "/x", "1")):
        with pytest.raises(BadRequest):
            patched(bad, kind=V20)


@pytest.mark.parametrize("kind", [None, "", "application/json", "application/json-patch+json", V21 + "x"])
def test_other_media_types_are_415_with_the_right_ones(kind: str | None) -> None:
    with pytest.raises(WrongMediaType, match=V21):
        parse_patch([], kind)


def test_parameters_of_the_media_type_do_not_matter() -> None:
    assert parse_patch([], f"{V21.upper()}; charset=utf-8") == ()


@pytest.mark.parametrize("body", [{}, None, "x", 5, [1], [[]], [None]])
def test_a_patch_is_a_list_of_objects(body: object) -> None:
    with pytest.raises(BadRequest):
        parse_patch(body, V21)


NAMES = st.sampled_from(
    ["name", "tags", "free", "new", "min_ram", "id", "owner", "disk_format", "a~1b", "~", "os_glance"]
)
ANY = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.text(max_size=3), max_size=3)
LOOSE = st.dictionaries(st.sampled_from(["op", "path", "value", "add", "remove"]), ANY, max_size=4)
TIGHT = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "replace", "remove", "test"]), "path": NAMES.map(lambda name: f"/{name}")},
    optional={"value": ANY},
)


@settings(deadline=None, max_examples=300)
@given(st.lists(LOOSE | TIGHT, max_size=5), st.sampled_from(PATCH_TYPES), st.sampled_from([ADMIN, MEMBER]))
def test_no_patch_ends_in_anything_but_values_or_a_refusal(body: list[Any], kind: str, by: Caller) -> None:
    try:
        values = apply(IMAGE, parse_patch(body, kind), by, READER)
    except Refusal:
        return
    READER.check(
        {name: list(value) if name == "tags" else value for name, value in values.items() if name != "properties"}
    )
    READER.check(values.get("properties", {}))
    replace(IMAGE, **values)


EDITS = st.one_of(
    st.builds(lambda name, value: op("add", f"/{name}", value), st.sampled_from("abcd"), st.text(max_size=3)),
    st.builds(lambda name, value: op("replace", f"/{name}", value), st.sampled_from("abcd"), st.text(max_size=3)),
    st.builds(lambda name: op("remove", f"/{name}"), st.sampled_from("abcd")),
    st.builds(lambda value: op("replace", "/name", value), st.text(max_size=3)),
)


@settings(deadline=None, max_examples=200)
@given(st.lists(EDITS, max_size=6))
def test_where_both_know_the_operation_the_result_is_rfc_6902s(operations: list[dict[str, Any]]) -> None:
    of = image(properties={"a": "1", "b": "2"})
    try:
        values = patched(*operations, of=of)
    except Conflict:
        return
    assert image_json(replace(of, **values)) == JsonPatch(operations).apply(image_json(of))
