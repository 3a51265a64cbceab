"""Every route, every verb: what is answered where, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from tests.metadefs.conftest import NAMESPACES, Cloud, running_cloud
from tests.metadefs.test_definitions import KEY, OBJECT, PROPERTY, bulk
from tests.serving.backing import catalog_url
from tests.serving.rows import tables

ONE = f"{NAMESPACES}/{{}}"
VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
ROUTES = {
    NAMESPACES: "GET, POST",
    ONE: "GET, PUT, DELETE",
    f"{ONE}/resource_types": "GET, POST",
    f"{ONE}/resource_types/x": "DELETE",
    f"{ONE}/properties": "GET, POST, DELETE",
    f"{ONE}/properties/x": "GET, PUT, DELETE",
    f"{ONE}/objects": "GET, POST, DELETE",
    f"{ONE}/objects/x": "GET, PUT, DELETE",
    f"{ONE}/tags": "GET, POST, DELETE",
    f"{ONE}/tags/x": "GET, POST, PUT, DELETE",
    "/v2/metadefs/resource_types": "GET",
}
SCHEMAS = {
    "namespace": "namespace",
    "namespaces": "namespaces",
    "resource_type": "resource_type_association",
    "resource_types": "resource_type_associations",
    "property": "property",
    "properties": "properties",
    "object": "object",
    "objects": "objects",
    "tag": "tag",
    "tags": "tags",
}
BODILESS = [
    ("GET", ONE),
    ("DELETE", ONE),
    ("GET", "/v2/metadefs/resource_types"),
    ("DELETE", f"{ONE}/resource_types/x"),
    ("GET", f"{ONE}/objects/x"),
    ("DELETE", f"{ONE}/objects/x"),
    ("GET", f"{ONE}/tags/x"),
    ("POST", f"{ONE}/tags/x"),
    ("DELETE", f"{ONE}/tags/x"),
    ("GET", "/v2/schemas/metadefs/tag"),
]


@pytest.mark.parametrize(("path", "allowed"), ROUTES.items())
def test_other_verbs_are_refused_with_those_that_are_not(cloud: Cloud, path: str, allowed: str) -> None:
    place = path.format(cloud.namespace())
    for verb in VERBS:
        answer = cloud.admin.request(verb, place)
        if verb in allowed.split(", "):
            assert answer.status_code != 405, verb
        else:
            assert (answer.status_code, answer.headers["allow"]) == (405, allowed), verb


@pytest.mark.parametrize("path", [*ROUTES, "/v2/schemas/metadefs/tag"])
def test_nobody_is_answered_without_a_name(cloud: Cloud, path: str) -> None:
    place = path.format(cloud.namespace())
    for verb in ROUTES.get(path, "GET").split(", "):
        assert cloud.admin.request(verb, place, auth=("admin", "wrong")).status_code == 401, verb


@pytest.mark.parametrize(("verb", "path"), BODILESS)
def test_a_body_nobody_asked_for_is_refused(cloud: Cloud, verb: str, path: str) -> None:
    answer = cloud.admin.request(verb, path.format(cloud.namespace()), json={})
    assert answer.status_code == 400
    assert answer.json()["error"]["reason"] == "body-unexpected"


@pytest.mark.parametrize(("path", "name"), SCHEMAS.items())
def test_schemas_carry_the_names_clients_know(cloud: Cloud, path: str, name: str) -> None:
    answer = cloud.rita.get(f"/v2/schemas/metadefs/{path}")
    assert (answer.status_code, answer.json()["name"]) == (200, name)
    Draft7Validator.check_schema(answer.json())


def test_answers_match_the_schemas_that_are_served(cloud: Cloud) -> None:
    name = cloud.namespace(
        properties={"k": KEY}, objects=[OBJECT], tags=[{"name": "t"}], resource_type_associations=[{"name": "OS::A::B"}]
    )
    place = f"{NAMESPACES}/{name}"
    cloud.admin.post(f"{place}/properties", json=PROPERTY)
    for path, schema in {
        NAMESPACES: "namespaces",
        place: "namespace",
        f"{place}/objects": "objects",
        f"{place}/objects/one": "object",
        f"{place}/properties": "properties",
        f"{place}/properties/one": "property",
        f"{place}/tags": "tags",
        f"{place}/tags/t": "tag",
        f"{place}/resource_types": "resource_types",
    }.items():
        served = cloud.ann.get(f"/v2/schemas/metadefs/{schema}").json()
        Draft7Validator(served).validate(cloud.ann.get(path).json())


def test_switched_off_nothing_of_it_is_left(tmp_path: Path) -> None:
    """The folder can be taken away: the rest serves on, and no table of its own was made."""
    with running_cloud(tmp_path, enabled=False) as cloud:
        for path in [*ROUTES, *(f"/v2/schemas/metadefs/{name}" for name in SCHEMAS)]:
            assert cloud.admin.get(path.format("x")).status_code == 404, path
        assert cloud.admin.post(f"{NAMESPACES}/x/tags", json=bulk("a")).status_code == 404
        assert cloud.admin.get("/v2/schemas/image").status_code == 200
        made = cloud.ann.post("/v2/images", json={"name": "still here"})
        assert cloud.ann.get(f"/v2/images/{made.json()['id']}").status_code == 200
    assert not [name for name in tables(catalog_url(tmp_path / "data")) if "metadef" in name]
