"""Namespaces as callers meet them: what they hold, who sees and changes them, how lists are cut."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.metadefs.conftest import NAMESPACES, Cloud

WHOLE: dict[str, Any] = {
    "display_name": "Quotas",
    "description": "What a flavor may use.",
    "visibility": "public",
    "protected": False,
    "owner": "apes",
    "resource_type_associations": [{"name": "OS::Nova::Flavor", "prefix": "quota:"}, {"name": "OS::Own::Thing"}],
    "properties": {"cpu": {"title": "CPU", "type": "integer", "minimum": 0, "enum": [1, 2], "default": 1}},
    "objects": [
        {
            "name": "Disk",
            "description": "Disk limits",
            "required": ["bytes"],
            "properties": {"bytes": {"title": "Bytes", "type": "integer"}},
        }
    ],
    "tags": [{"name": "gold"}, {"name": "silver"}],
}


def test_a_namespace_keeps_all_it_was_created_with(cloud: Cloud) -> None:
    name = cloud.fresh("Quota")
    made = cloud.admin.post(NAMESPACES, json={"namespace": name, **WHOLE})
    assert made.status_code == 201, made.text
    assert made.headers["location"].endswith(f"{NAMESPACES}/{name}")
    shown = cloud.admin.get(f"{NAMESPACES}/{name}").json()
    assert shown == made.json()
    fields = {key: shown[key] for key in ("display_name", "description", "visibility", "protected", "owner")}
    assert fields == {key: WHOLE[key] for key in fields}
    assert shown["properties"] == WHOLE["properties"]
    assert [one["name"] for one in shown["resource_type_associations"]] == ["OS::Nova::Flavor", "OS::Own::Thing"]
    assert shown["objects"][0]["self"] == f"{NAMESPACES}/{name}/objects/Disk"
    assert shown["objects"][0]["required"] == ["bytes"]
    assert {one["name"] for one in shown["tags"]} == {"gold", "silver"}
    assert shown["self"] == f"{NAMESPACES}/{name}"
    assert shown["schema"] == "/v2/schemas/metadefs/namespace"


def test_defaults_are_private_unprotected_and_the_callers_own(cloud: Cloud) -> None:
    name = cloud.fresh()
    made = cloud.admin.post(NAMESPACES, json={"namespace": name}).json()
    assert (made["visibility"], made["protected"], made["owner"]) == ("private", False, "ops")
    assert "display_name" not in made
    assert "properties" not in made


def test_a_namespace_is_created_whole_or_not_at_all(cloud: Cloud) -> None:
    name = cloud.fresh()
    twice = cloud.admin.post(NAMESPACES, json={"namespace": name, "tags": [{"name": "a"}, {"name": "a"}]})
    assert twice.status_code == 409
    assert cloud.admin.get(f"{NAMESPACES}/{name}").status_code == 404


def test_keys_take_the_prefix_of_the_resource_type_that_is_asked_for(cloud: Cloud) -> None:
    name = cloud.namespace(**WHOLE)
    shown = cloud.ann.get(f"{NAMESPACES}/{name}", params={"resource_type": "OS::Nova::Flavor"}).json()
    assert list(shown["properties"]) == ["quota:cpu"]
    assert list(shown["objects"][0]["properties"]) == ["quota:bytes"]
    assert shown["objects"][0]["required"] == ["quota:bytes"]
    plain = cloud.ann.get(f"{NAMESPACES}/{name}", params={"resource_type": "OS::Own::Thing"}).json()
    assert list(plain["properties"]) == ["cpu"]


def test_an_update_replaces_the_fields_and_leaves_what_is_defined(cloud: Cloud) -> None:
    name, renamed = cloud.namespace(**WHOLE), cloud.fresh("Renamed")
    changed = cloud.admin.put(f"{NAMESPACES}/{name}", json={"namespace": renamed, "visibility": "public"})
    assert changed.status_code == 200, changed.text
    assert "description" not in changed.json()
    assert changed.json()["owner"] == "ops"
    assert cloud.ann.get(f"{NAMESPACES}/{name}").status_code == 404
    shown = cloud.ann.get(f"{NAMESPACES}/{renamed}").json()
    assert list(shown["properties"]) == ["cpu"]
    assert len(shown["tags"]) == 2


def test_two_namespaces_never_share_a_name(cloud: Cloud) -> None:
    one, other = cloud.namespace(), cloud.namespace(description="mine")
    assert cloud.admin.post(NAMESPACES, json={"namespace": one}).status_code == 409
    assert cloud.admin.put(f"{NAMESPACES}/{other}", json={"namespace": one}).status_code == 409
    assert cloud.admin.get(f"{NAMESPACES}/{other}").json()["description"] == "mine"


def test_a_protected_namespace_and_what_it_defines_cannot_be_deleted(cloud: Cloud) -> None:
    name = cloud.namespace(**{**WHOLE, "protected": True})
    place = f"{NAMESPACES}/{name}"
    for path in (
        "",
        "/objects",
        "/properties",
        "/tags",
        "/objects/Disk",
        "/properties/cpu",
        "/tags/gold",
        "/resource_types/OS::Nova::Flavor",
    ):
        refused = cloud.admin.delete(f"{place}{path}")
        assert refused.status_code == 403, path
        assert "protected" in refused.json()["error"]["message"]
    assert len(cloud.admin.get(place).json()["tags"]) == 2
    assert cloud.admin.put(place, json={"namespace": name}).status_code == 200
    assert cloud.admin.delete(place).status_code == 204
    assert cloud.admin.get(place).status_code == 404
    assert cloud.admin.post(NAMESPACES, json={"namespace": name}).status_code == 201
    assert "tags" not in cloud.admin.get(place).json()


def test_private_namespaces_are_seen_by_their_project_and_by_admins(cloud: Cloud) -> None:
    private = cloud.namespace(visibility="private", owner="apes", tags=[{"name": "x"}])
    public = cloud.namespace(owner="apes")
    for client, sees in ((cloud.admin, True), (cloud.ann, True), (cloud.rita, True), (cloud.bob, False)):
        assert listed(client, limit=1000) >= {public}
        assert (private in listed(client, limit=1000)) is sees
        for path in ("", "/objects", "/properties", "/tags", "/tags/x", "/resource_types"):
            answer = client.get(f"{NAMESPACES}/{private}{path}")
            assert answer.status_code == (200 if sees else 404), (path, answer.text)


def test_who_may_not_read_sees_nothing(cloud: Cloud) -> None:
    public = cloud.namespace()
    assert cloud.nora.get(NAMESPACES).status_code == 403
    assert cloud.nora.get("/v2/metadefs/resource_types").status_code == 403
    assert cloud.nora.get(f"{NAMESPACES}/{public}").status_code == 404


@pytest.mark.parametrize("visibility", ["public", "private"])
def test_only_admins_write(cloud: Cloud, visibility: str) -> None:
    name = cloud.namespace(**{**WHOLE, "visibility": visibility})
    place = f"{NAMESPACES}/{name}"
    writes: list[tuple[str, str, Any]] = [
        ("PUT", place, {"namespace": name}),
        ("DELETE", place, None),
        ("POST", f"{place}/resource_types", {"name": "t"}),
        ("DELETE", f"{place}/resource_types/OS::Own::Thing", None),
        ("POST", f"{place}/properties", {"name": "p", "title": "P", "type": "string"}),
        ("PUT", f"{place}/properties/cpu", {"name": "cpu", "title": "P", "type": "string"}),
        ("DELETE", f"{place}/properties/cpu", None),
        ("DELETE", f"{place}/properties", None),
        ("POST", f"{place}/objects", {"name": "o"}),
        ("PUT", f"{place}/objects/Disk", {"name": "Disk"}),
        ("DELETE", f"{place}/objects/Disk", None),
        ("DELETE", f"{place}/objects", None),
        ("POST", f"{place}/tags", {"tags": [{"name": "t"}]}),
        ("POST", f"{place}/tags/t", None),
        ("PUT", f"{place}/tags/gold", {"name": "t"}),
        ("DELETE", f"{place}/tags/gold", None),
        ("DELETE", f"{place}/tags", None),
    ]
    before = cloud.admin.get(place).json()
    for method, path, body in writes:
        for client, hidden in ((cloud.ann, 403), (cloud.rita, 403), (cloud.bob, 404)):
            wanted = 403 if visibility == "public" else hidden
            assert client.request(method, path, json=body).status_code == wanted, (method, path)
    assert cloud.ann.post(NAMESPACES, json={"namespace": cloud.fresh()}).status_code == 403
    assert cloud.admin.get(place).json() == before


def test_lists_are_filtered_by_visibility_resource_type_and_property(cloud: Cloud) -> None:
    typed = cloud.namespace(resource_type_associations=[{"name": "OS::Filter::A", "prefix": "a:"}])
    other = cloud.namespace(
        resource_type_associations=[{"name": "OS::Filter::B"}],
        properties={"only-here": {"title": "T", "type": "string"}},
    )
    private = cloud.namespace(visibility="private", resource_type_associations=[{"name": "OS::Filter::A"}])
    assert listed(cloud.admin, resource_types="OS::Filter::A") == {typed, private}
    assert listed(cloud.admin, resource_types="OS::Filter::A,OS::Filter::B") == {typed, other, private}
    assert listed(cloud.admin, resource_types="OS::Filter::A", visibility="private") == {private}
    assert listed(cloud.ann, resource_types="OS::Filter::A") == {typed}
    assert listed(cloud.admin, property="only-here") == {other}
    assert listed(cloud.admin, resource_types="nothing") == set()
    shown = cloud.admin.get(NAMESPACES, params={"property": "only-here"}).json()["namespaces"][0]
    assert shown["resource_type_associations"][0]["name"] == "OS::Filter::B"
    assert "properties" not in shown


@pytest.mark.parametrize(
    "query",
    [
        "visibility=shared",
        "limit=-1",
        "limit=many",
        "limit=1e3",
        "sort_key=zork",
        "sort_key=id",
        "sort_dir=up",
        "marker=%00",
        "property=%00",
        "resource_types=%00",
    ],
)
def test_a_bad_query_is_refused(cloud: Cloud, query: str) -> None:
    assert cloud.admin.get(f"{NAMESPACES}?{query}").status_code == 400


def test_an_unknown_marker_is_not_found(cloud: Cloud) -> None:
    hidden = cloud.namespace(visibility="private")
    assert cloud.admin.get(NAMESPACES, params={"marker": "nobody"}).status_code == 404
    assert cloud.bob.get(NAMESPACES, params={"marker": hidden}).status_code == 404


@pytest.fixture(scope="module")
def shelf(cloud: Cloud) -> str:
    """A resource type with namespaces of all sorts."""
    kind = cloud.fresh("Type")
    for number in range(11):
        fields = {"display_name": "same" if number % 3 else f"n{number}"} if number % 4 else {}
        cloud.namespace(
            **fields,
            visibility=("public", "private")[number % 2],
            protected=number % 5 == 0,
            resource_type_associations=[{"name": kind}],
        )
    return kind


@pytest.mark.parametrize("way", ["asc", "desc"])
@pytest.mark.parametrize(
    "key", ["namespace", "display_name", "visibility", "protected", "owner", "created_at", "updated_at"]
)
def test_pages_join_to_the_whole_list(cloud: Cloud, shelf: str, key: str, way: str) -> None:
    asked = {"resource_types": shelf, "sort_key": key, "sort_dir": way}
    whole = cloud.admin.get(NAMESPACES, params=asked).json()["namespaces"]
    assert len(whole) == 11
    values = [str(one.get(key, "")) for one in whole]
    assert values == sorted(values, reverse=way == "desc")
    for limit in (1, 4, 11):
        pages = followed(cloud.admin, {**asked, "limit": str(limit)})
        assert [one["namespace"] for page in pages for one in page] == [one["namespace"] for one in whole]
        assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
        assert pages[-1]


def test_the_newest_come_first_where_nobody_says_otherwise(cloud: Cloud, shelf: str) -> None:
    found = cloud.admin.get(NAMESPACES, params={"resource_types": shelf}).json()["namespaces"]
    newest = {"resource_types": shelf, "sort_key": "created_at", "sort_dir": "desc"}
    assert found == cloud.admin.get(NAMESPACES, params=newest).json()["namespaces"]


def test_no_more_than_a_page_comes_without_a_limit(cloud: Cloud) -> None:
    for _ in range(26):
        cloud.namespace()
    assert len(cloud.admin.get(NAMESPACES).json()["namespaces"]) == 25
    none = cloud.admin.get(NAMESPACES, params={"limit": "0"}).json()
    assert none["namespaces"] == []
    assert "next" not in none


def test_resource_types_are_there_from_the_start_and_stay(cloud: Cloud) -> None:
    name = cloud.namespace(resource_type_associations=[{"name": "OS::Kept::Type"}])
    cloud.admin.delete(f"{NAMESPACES}/{name}")
    found = cloud.rita.get("/v2/metadefs/resource_types").json()["resource_types"]
    names = [one["name"] for one in found]
    assert {"OS::Glance::Image", "OS::Nova::Flavor", "OS::Kept::Type"} <= set(names)
    assert names == sorted(set(names))
    assert set(found[0]) == {"name", "created_at", "updated_at"}


def test_names_of_any_script_can_be_addressed(cloud: Cloud) -> None:
    name = f"große Größe? #{next(cloud.numbers)} 100% & «так»"
    made = cloud.admin.post(NAMESPACES, json={"namespace": name, "visibility": "public"})
    assert made.status_code == 201, made.text
    assert cloud.ann.get(made.headers["location"]).json()["namespace"] == name
    assert cloud.admin.delete(made.json()["self"]).status_code == 204


def listed(client: httpx.Client, **query: Any) -> set[str]:
    answer = client.get(NAMESPACES, params=query)
    assert answer.status_code == 200, answer.text
    return {one["namespace"] for one in answer.json()["namespaces"]}


def followed(client: httpx.Client, query: dict[str, str]) -> list[list[dict[str, Any]]]:
    """Every page, by its `next` links."""
    body = client.get(NAMESPACES, params=query).json()
    pages = [body["namespaces"]]
    while "next" in body and len(pages) < 20:
        body = client.get(body["next"]).json()
        pages.append(body["namespaces"])
    return pages
