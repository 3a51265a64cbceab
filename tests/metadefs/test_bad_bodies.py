"""Whatever is sent, the answer is a refusal in words or a success; and what was accepted can be read again."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.metadefs.conftest import NAMESPACES, Cloud
from tests.metadefs.test_definitions import KEY, OBJECT, PROPERTY, bulk

FUZZ = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))

LETTERS = st.text(max_size=8)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | LETTERS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LETTERS, inner, max_size=3))
SOUND: dict[str, Any] = {
    "": {"namespace": "n", "properties": {"k": KEY}, "objects": [OBJECT], "tags": [{"name": "t"}]},
    "/{}": {"namespace": "n", "visibility": "public", "protected": False},
    "/{}/resource_types": {"name": "t", "prefix": "p:", "properties_target": "x"},
    "/{}/properties": PROPERTY,
    "/{}/properties/one": PROPERTY,
    "/{}/objects": OBJECT,
    "/{}/objects/one": OBJECT,
    "/{}/tags": bulk("a", "b"),
    "/{}/tags/one": {"name": "one"},
}


def verb(path: str) -> str:
    return "PUT" if path == "/{}" or path.endswith("/one") else "POST"


@st.composite
def bent(draw: st.DrawFn, sound: Any) -> Any:
    """The sound body with one part of it replaced, removed or joined by something else."""
    body = json.loads(json.dumps(sound))
    part = body
    while part and draw(st.booleans()):
        keys: list[Any] = list(part) if isinstance(part, dict) else list(range(len(part)))
        inner = part[draw(st.sampled_from(keys))]
        if not isinstance(inner, dict | list):
            break
        part = inner
    if isinstance(part, dict):
        key = draw(st.sampled_from(list(part)) | LETTERS) if part else draw(LETTERS)
        if draw(st.booleans()):
            part[key] = draw(VALUES)
        else:
            part.pop(key, None)
    else:
        part.append(draw(VALUES))
    return body


def answered(client: httpx.Client, method: str, path: str, body: bytes) -> httpx.Response:
    answer = client.request(method, path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code < 500, (answer.text, body)
    if answer.status_code >= 400:
        assert answer.json()["error"]["message"]
    return answer


@pytest.fixture(scope="module")
def place(cloud: Cloud) -> str:
    name = cloud.namespace(objects=[OBJECT], properties={"one": KEY}, tags=[{"name": "one"}])
    return f"{NAMESPACES}/{name}"


@pytest.mark.parametrize("path", SOUND)
@FUZZ
@given(drawn=st.data())
def test_a_bent_body_is_refused_or_readable(cloud: Cloud, place: str, path: str, drawn: st.DataObject) -> None:
    body = drawn.draw(bent(SOUND[path]))
    if isinstance(body, dict) and path in ("", "/{}"):
        body["namespace"] = body.get("namespace") if path else cloud.fresh()
    content = json.dumps(body, ensure_ascii=drawn.draw(st.booleans())).encode("utf-8", "surrogatepass")
    answer = answered(cloud.admin, verb(path), path_in(place, path), content)
    if path == "/{}" and answer.status_code == 200:
        assert cloud.admin.put(answer.json()["self"], json={"namespace": place.rpartition("/")[2]}).status_code == 200
    assert cloud.admin.get(place).status_code == 200
    assert cloud.admin.get(f"{NAMESPACES}?limit=1000").status_code == 200


@pytest.mark.parametrize("path", SOUND)
@FUZZ
@given(body=st.binary(max_size=40) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_refused_in_words(cloud: Cloud, place: str, path: str, body: bytes) -> None:
    answer = answered(cloud.admin, verb(path), path_in(place, path), body)
    assert 400 <= answer.status_code < 500


@pytest.mark.parametrize(
    ("path", "field"),
    [
        *(("", field) for field in ("self", "schema", "created_at", "updated_at")),
        *(("/{}/objects", field) for field in ("self", "schema", "created_at", "updated_at")),
        *(
            (path, field)
            for path in ("/{}/properties", "/{}/resource_types", "/{}/tags/one")
            for field in ("created_at", "updated_at")
        ),
    ],
)
def test_what_only_the_service_sets_is_forbidden(cloud: Cloud, place: str, path: str, field: str) -> None:
    answer = cloud.admin.request(verb(path), path_in(place, path), json={**SOUND[path], field: "2026-11-22T00:00:00Z"})
    assert (answer.status_code, answer.json()["error"]["reason"]) == (403, "read-only")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"namespace": ""},
        {"namespace": "a/b"},
        {"namespace": "a\\b"},
        {"namespace": "x" * 81},
        {"namespace": "x", "visibility": "shared"},
        {"namespace": "x", "owner": None},
        {"namespace": "x", "zork": 1},
        {"namespace": "x", "properties": {"p": {"title": "no type"}}},
        {"namespace": "x", "properties": {"p": {"title": "T", "type": "zork"}}},
        {"namespace": "x", "properties": {"a/b": KEY}},
        {"namespace": "x", "objects": [{"description": "no name"}]},
        {"namespace": "x", "tags": ["t"]},
    ],
)
def test_a_namespace_that_breaks_its_schema_is_refused(cloud: Cloud, body: dict[str, Any]) -> None:
    answer = cloud.admin.post(NAMESPACES, json=body)
    assert answer.status_code == 400
    assert "'namespace'" in answer.json()["error"]["message"]


@FUZZ
@given(name=st.text(min_size=1, max_size=90))
def test_any_name_in_a_path_is_answered(cloud: Cloud, place: str, name: str) -> None:
    quoted = "".join(f"%{byte:02X}" for byte in name.encode("utf-8", "surrogatepass"))
    for method in ("GET", "PUT", "DELETE"):
        answered(cloud.admin, method, f"{place}/objects/zork{quoted}", b'{"name": "zork"}' if method == "PUT" else b"")
    answered(cloud.admin, "POST", f"{place}/tags/{quoted}", b"")


def path_in(place: str, path: str) -> str:
    return f"{place}{path.removeprefix('/{}')}" if path else NAMESPACES


@pytest.mark.parametrize("name", ["a\fb", "a\nb", "a\n", "\x7f", ".", "..", "a/b", "a\\b"])
def test_a_name_that_no_path_can_have_is_refused(cloud: Cloud, place: str, name: str) -> None:
    """It would be there, and nobody could look at it, change it or take it away."""
    for path, body in (
        ("", {"namespace": name}),
        ("", {"namespace": cloud.fresh(), "properties": {name: KEY}}),
        ("/{}", {"namespace": name}),
        ("/{}/tags", bulk(name)),
        ("/{}/objects", {**OBJECT, "name": name}),
        ("/{}/properties", {**PROPERTY, "name": name}),
    ):
        content = json.dumps(body).encode()
        assert answered(cloud.admin, verb(path), path_in(place, path), content).status_code == 400, (path, body)


@pytest.mark.parametrize("name", ["...", ".a", "a..b", "OS::Compute::Libvirt", "\u00e9 \U00020000 %2e?#"])
def test_any_other_name_is_found_again(cloud: Cloud, name: str) -> None:
    name = f"{name}{cloud.fresh()}"
    made = cloud.admin.post(NAMESPACES, json={"namespace": name})
    assert made.status_code == 201, made.text
    assert cloud.admin.delete(made.json()["self"]).status_code == 204
