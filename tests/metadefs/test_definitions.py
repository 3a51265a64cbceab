"""Objects, properties, tags and associations: made, shown, changed, listed and removed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.metadefs.conftest import NAMESPACES, Cloud

KEY = {"title": "Key", "type": "string", "enum": ["xen", "kvm"]}
OBJECT = {"name": "one", "description": "d", "required": ["k"], "properties": {"k": KEY}}
PROPERTY = {"name": "one", **KEY}


@pytest.fixture
def place(cloud: Cloud) -> str:
    return f"{NAMESPACES}/{cloud.namespace()}"


@pytest.mark.parametrize(
    ("kind", "body", "smaller"),
    [
        ("objects", OBJECT, {"name": "two"}),
        ("properties", PROPERTY, {"name": "two", "title": "New", "type": "string"}),
    ],
)
def test_a_definition_lives_from_creation_to_deletion(
    cloud: Cloud, place: str, kind: str, body: dict[str, Any], smaller: dict[str, Any]
) -> None:
    path = f"{place}/{kind}"
    made = cloud.admin.post(path, json=body)
    assert made.status_code == 201, made.text
    assert cloud.ann.get(f"{path}/one").json() == made.json()
    assert made.json().items() >= body.items()
    assert cloud.admin.post(path, json=body).status_code == 409

    changed = cloud.admin.put(f"{path}/one", json=smaller)
    assert changed.status_code == 200, changed.text
    assert changed.json().items() >= smaller.items()
    assert changed.json().keys().isdisjoint(body.keys() - smaller.keys())
    assert cloud.ann.get(f"{path}/one").status_code == 404
    assert cloud.admin.put(f"{path}/one", json=body).status_code == 404

    assert cloud.admin.post(path, json=body).status_code == 201
    assert cloud.admin.put(f"{path}/one", json={**body, "name": "two"}).status_code == 409
    assert cloud.admin.delete(f"{path}/two").status_code == 204
    assert cloud.admin.delete(f"{path}/two").status_code == 404
    assert names(cloud, path) == ["one"]
    assert cloud.admin.delete(path).status_code == 204
    assert names(cloud, path) == []


def test_an_object_points_at_itself_and_its_schema(cloud: Cloud, place: str) -> None:
    made = cloud.admin.post(f"{place}/objects", json=OBJECT).json()
    assert made["self"] == f"{place}/objects/one"
    assert made["schema"] == "/v2/schemas/metadefs/object"
    assert made["created_at"].endswith("Z")
    assert cloud.ann.get(f"{place}/objects").json()["schema"] == "v2/schemas/metadefs/objects"


def test_a_change_keeps_when_a_definition_was_made(cloud: Cloud, place: str) -> None:
    made = cloud.admin.post(f"{place}/tags/first").json()
    cloud.admin.post(f"{place}/tags/second")
    changed = cloud.admin.put(f"{place}/tags/first", json={"name": "renamed"}).json()
    assert changed["created_at"] == made["created_at"]
    assert names(cloud, f"{place}/tags?sort_dir=asc") == ["renamed", "second"]


def test_a_property_answers_to_its_name_on_a_resource_type(cloud: Cloud, place: str) -> None:
    cloud.admin.post(f"{place}/properties", json=PROPERTY)
    cloud.admin.post(f"{place}/resource_types", json={"name": "OS::Glance::Image", "prefix": "hw_"})
    cloud.admin.post(f"{place}/resource_types", json={"name": "OS::Nova::Server"})
    asked = {"resource_type": "OS::Glance::Image"}
    assert cloud.ann.get(f"{place}/properties/hw_one", params=asked).json()["name"] == "one"
    assert cloud.ann.get(f"{place}/properties/one", params=asked).status_code == 404
    for other in ("OS::Nova::Server", "OS::Not::There"):
        assert cloud.ann.get(f"{place}/properties/one", params={"resource_type": other}).status_code == 404


def test_a_name_stands_for_one_of_each_kind(cloud: Cloud, place: str) -> None:
    for kind, body in (("objects", OBJECT), ("properties", PROPERTY), ("resource_types", {"name": "one"})):
        assert cloud.admin.post(f"{place}/{kind}", json=body).status_code == 201
    assert cloud.admin.post(f"{place}/tags/one").status_code == 201
    assert cloud.admin.delete(f"{place}/objects").status_code == 204
    assert names(cloud, f"{place}/properties") == ["one"]
    assert names(cloud, f"{place}/tags") == ["one"]


def test_associations_are_made_listed_and_removed(cloud: Cloud, place: str) -> None:
    path = f"{place}/resource_types"
    body = {"name": "OS::Nova::Flavor", "prefix": "hw:", "properties_target": "scheduler_hints"}
    made = cloud.admin.post(path, json=body)
    assert made.status_code == 201
    assert made.json().items() >= body.items()
    assert cloud.admin.post(path, json=body).status_code == 409
    assert cloud.ann.get(path).json()["resource_type_associations"] == [made.json()]
    assert cloud.admin.delete(f"{path}/OS::Nova::Flavor").status_code == 204
    assert cloud.admin.delete(f"{path}/OS::Nova::Flavor").status_code == 404
    assert cloud.ann.get(path).json() == {"resource_type_associations": []}


def test_tags_in_bulk_replace_those_there_are_or_join_them(cloud: Cloud, place: str) -> None:
    path = f"{place}/tags"
    made = cloud.admin.post(path, json=bulk("a", "b"))
    assert (made.status_code, made.json()) == (201, bulk("a", "b"))
    assert cloud.admin.post(path, json=bulk("c")).status_code == 201
    assert names(cloud, path) == ["c"]
    assert cloud.admin.post(path, json=bulk("d"), headers={"X-Openstack-Append": "True"}).status_code == 201
    assert sorted(names(cloud, path)) == ["c", "d"]
    assert cloud.admin.post(path, json=bulk("e"), headers={"X-Openstack-Append": "no"}).status_code == 201
    assert names(cloud, path) == ["e"]


def test_a_refused_bulk_changes_nothing(cloud: Cloud, place: str) -> None:
    path = f"{place}/tags"
    cloud.admin.post(path, json=bulk("a", "b"))
    assert cloud.admin.post(path, json=bulk("c", "c")).status_code == 409
    assert cloud.admin.post(path, json=bulk("d", "a"), headers={"X-Openstack-Append": "1"}).status_code == 409
    assert cloud.admin.post(path, json=bulk()).json() == {"tags": []}
    assert sorted(names(cloud, path)) == ["a", "b"]


def test_one_tag_is_made_shown_renamed_and_removed(cloud: Cloud, place: str) -> None:
    path = f"{place}/tags"
    made = cloud.admin.post(f"{path}/gold")
    assert made.status_code == 201
    assert set(made.json()) == {"name", "created_at", "updated_at"}
    assert cloud.admin.post(f"{path}/gold").status_code == 409
    assert cloud.admin.post(f"{path}/{'x' * 81}").status_code == 400
    assert cloud.admin.post(f"{path}/gold", json={}).status_code == 400
    assert cloud.ann.get(f"{path}/gold").json() == made.json()
    assert cloud.admin.put(f"{path}/gold", json={"name": "silver"}).json()["name"] == "silver"
    assert cloud.ann.get(f"{path}/gold").status_code == 404
    assert cloud.admin.delete(f"{path}/silver").status_code == 204
    assert cloud.admin.delete(f"{path}/silver").status_code == 404


@pytest.mark.parametrize("kind", ["tags", "objects"])
def test_lists_are_cut_by_limit_and_marker(cloud: Cloud, place: str, kind: str) -> None:
    for name in ("b", "d", "a", "c"):
        if kind == "tags":
            cloud.admin.post(f"{place}/tags/{name}")
        else:
            cloud.admin.post(f"{place}/objects", json={"name": name})
    path = f"{place}/{kind}"
    assert names(cloud, path) == ["c", "a", "d", "b"]
    assert names(cloud, f"{path}?sort_key=name&sort_dir=asc&limit=2&marker=b") == ["c", "d"]
    assert names(cloud, f"{path}?limit=3&marker=a") == ["d", "b"]
    assert cloud.ann.get(f"{path}?marker=zork").status_code == 404
    assert cloud.ann.get(f"{path}?sort_key=body").status_code == 400
    assert cloud.ann.get(f"{path}?limit=x").status_code == 400


def test_what_is_in_no_namespace_is_not_found(cloud: Cloud) -> None:
    place = f"{NAMESPACES}/nowhere"
    for method, path, body in (
        ("GET", "/objects", None),
        ("POST", "/objects", OBJECT),
        ("DELETE", "/objects", None),
        ("GET", "/properties/x", None),
        ("PUT", "/properties/x", PROPERTY),
        ("POST", "/tags", bulk("a")),
        ("POST", "/tags/a", None),
        ("DELETE", "/resource_types/a", None),
    ):
        assert cloud.admin.request(method, f"{place}{path}", json=body).status_code == 404, (method, path)


def bulk(*tags: str) -> dict[str, Any]:
    return {"tags": [{"name": tag} for tag in tags]}


def names(cloud: Cloud, path: str) -> list[str]:
    """The names in a list, in its order."""
    answer = cloud.ann.get(path)
    assert answer.status_code == 200, answer.text
    (found,) = (value for key, value in answer.json().items() if key != "schema")
    return list(found) if isinstance(found, dict) else [one["name"] for one in found]
