"""Create bodies and the schema they follow."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft4Validator

from gateway.api.image_schema import ImageRules, image_schema, images_schema
from gateway.api.image_values import READ_ONLY, ImageReader
from gateway.api.wire import image_json
from gateway.model.errors import BadRequest, Forbidden, Refusal, TooLarge
from gateway.model.image import Image
from tests.api.records import ADMIN, ID, MEMBER, NOW, image

RULES = ImageRules(disk_formats=("raw", "qcow2"), container_formats=("bare",), max_properties=3, max_tags=2)
READER = ImageReader(RULES)


def create(**body: Any) -> dict[str, Any]:
    return READER.create(body, MEMBER)


def test_an_empty_body_is_an_image_of_the_callers_project() -> None:
    assert create() == {"owner": "p1", "properties": {}}


def test_fields_and_free_properties_are_told_apart() -> None:
    values = create(id=ID, name="n", disk_format="raw", min_disk=1, tags=["b", "a", "b"], os_distro="x", kernel_id=None)
    assert values == {
        "id": ID,
        "name": "n",
        "disk_format": "raw",
        "min_disk": 1,
        "tags": ("b", "a"),
        "owner": "p1",
        "properties": {"os_distro": "x"},
    }
    assert Image(**values, created_at=NOW, updated_at=NOW).properties == {"os_distro": "x"}


@pytest.mark.parametrize("name", [*sorted(READ_ONLY), "locations", "location", "deleted", "deleted_at", "os_glance_x"])
def test_what_callers_never_set_is_403(name: str) -> None:
    with pytest.raises(Forbidden, match=f"Attribute '{name}' is (read-only|reserved)"):
        create(**{name: "x"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", "zork"),
        ("id", ID + "\n"),
        ("id", None),
        ("name", 5),
        ("name", "a" * 256),
        ("disk_format", "zork"),
        ("disk_format", ["raw"]),
        ("container_format", "ovf"),
        ("visibility", "secret"),
        ("visibility", None),
        ("protected", "true"),
        ("protected", 1),
        ("os_hidden", None),
        ("min_disk", -1),
        ("min_ram", True),
        ("min_ram", 1.5),
        ("min_ram", 2**31),
        ("tags", "a"),
        ("tags", [1]),
        ("tags", ["a" * 256]),
        ("owner", 1),
        ("free", 1),
        ("free", None),
        ("free", {"a": "b"}),
        ("kernel_id", "zork"),
        ("a" * 256, "x"),
        ("", "x"),
    ],
)
def test_bad_values_are_400(name: str, value: Any) -> None:
    with pytest.raises(BadRequest) as refused:
        create(**{name: value})
    assert refused.value.status == 400
    assert len(refused.value.message) < 700


def test_the_refusal_speaks_as_clients_expect_and_names_the_field() -> None:
    with pytest.raises(BadRequest, match="Provided object does not match schema 'image': disk_format: 'zork' is not"):
        create(disk_format="zork")


def test_limits_of_a_site() -> None:
    create(a="1", b="2", c="3", tags=["x", "y", "x"])
    with pytest.raises(TooLarge, match="4 properties; 3 are allowed"):
        create(a="1", b="2", c="3", d="4")
    with pytest.raises(TooLarge, match="3 tags; 2 are allowed"):
        create(tags=["x", "y", "z"])


def test_owners_and_public_images_are_for_admins() -> None:
    assert create(owner="p1", visibility="community")["owner"] == "p1"
    for body in ({"owner": "p2"}, {"owner": None}, {"visibility": "public"}):
        with pytest.raises(Forbidden):
            create(**body)
        assert READER.create(body, ADMIN)


def test_the_schemas_are_schemas_and_every_image_on_the_wire_follows_them() -> None:
    Draft4Validator.check_schema(image_schema(RULES))
    Draft4Validator.check_schema(images_schema(RULES))
    full = image(disk_format="raw", tags=("a",), properties={"x": "y"}, stores=("local",), import_id="t", size=1)
    for record in (image(), full):
        assert list(Draft4Validator(image_schema(RULES)).iter_errors(image_json(record))) == []


def test_the_schema_says_what_is_read_only_and_what_the_site_takes() -> None:
    properties = image_schema(RULES)["properties"]
    assert {name for name, field in properties.items() if field.get("readOnly")} == READ_ONLY
    assert properties["disk_format"]["enum"] == [None, "raw", "qcow2"]
    assert images_schema(RULES)["properties"]["images"]["items"] == image_schema(RULES)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from([*image_schema(RULES)["properties"], "free", "os_glance_x"])


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(FIELDS | st.text(max_size=4), JSON, max_size=5))
def test_no_body_ends_in_anything_but_an_image_or_a_refusal(body: dict[str, Any]) -> None:
    try:
        values = READER.create(body, ADMIN)
    except Refusal:
        return
    made = Image(**{"id": ID, **values}, created_at=NOW, updated_at=NOW)
    assert Draft4Validator(image_schema(RULES)).is_valid(image_json(made))


NAMES = st.text(string.ascii_letters, max_size=9).map(lambda name: f"x_{name}")


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(NAMES, st.text(max_size=9), max_size=3), st.text(max_size=9), st.integers(0, 99))
def test_what_is_created_is_what_is_shown(properties: dict[str, str], name: str, min_ram: int) -> None:
    sent = {**properties, "name": name, "min_ram": min_ram}
    shown = image_json(Image(**{"id": ID, **READER.create(sent, MEMBER)}, created_at=NOW, updated_at=NOW))
    assert {key: shown[key] for key in sent} == sent
