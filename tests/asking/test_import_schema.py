"""`GET /v2/schemas/import` against the import call itself: what it refuses is refused, what it draws is taken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.clients.site import User
from tests.faults.service import Service

ID = "0" * 8 + "-0000-4000-8000-" + "0" * 12
HOSTS = (
    "cloud.vendor.example",
    "CLOUD.vendor.Example.",
    "x.mirror.example",
    "a.b.mirror.example",
    "mirror.example",
    "xmirror.example",
    "lab.example",
    "192.0.2.7",
    "192.0.2.8",
    "cloud.vendor.example.evil.example",
    "ｌab.example",
    "münchen.mirror.example",
    "[2001:db8::1]",
    "user@lab.example",
    "",
)
SCHEMES = ("https", "http", "HTTPS", "ftp")
PORTS = ("", "", ":443", ":80", ":0443", ":8443", ":22", ":x", ":")
TAILS = ("", "/", "/a/b.raw?x=1#y", "?q", "/a b", "/../x", "\n")


class Importer:
    """Imports into images of its own; a new one after each that was accepted."""

    def __init__(self, user: User) -> None:
        self.user = user
        self._images: dict[bool, str] = {}

    def start(self, body: Any) -> httpx.Response:
        method = body.get("method")
        staged = isinstance(method, dict) and method.get("name") == "glance-direct"
        image = self._images.pop(staged, None) or self._made(staged)
        found = self.user.http.post(f"/v2/images/{image}/import", json=body)
        if found.status_code == 202:
            self.user.http.delete(f"/v2/images/{image}")
        else:
            self._images[staged] = image
        return found

    def _made(self, staged: bool) -> str:
        image = self.user.create(visibility="private")
        if staged:
            self.user.stage(image, b"some bytes").raise_for_status()
        return image


@pytest.fixture(scope="module")
def importer(running: Service) -> Iterator[Importer]:
    with running.user("gold") as user:
        yield Importer(user)


@pytest.fixture(scope="module")
def schema(importer: Importer) -> dict[str, Any]:
    found: dict[str, Any] = importer.user.http.get("/v2/schemas/import").raise_for_status().json()
    Draft202012Validator.check_schema(found)
    return found


URIS = st.builds("{}://{}{}{}".format, *map(st.sampled_from, (SCHEMES, HOSTS, PORTS, TAILS)))
ODD = st.sampled_from([None, 1, "", [], {}, True])
METHOD = st.fixed_dictionaries(
    {
        "name": st.sampled_from(
            ["glance-direct", "web-download", "web-download", "glance-download", "copy-image", "zork", 1]
        )
    },
    optional={
        "uri": URIS | ODD,
        "glance_region": st.sampled_from(["east", "west", "north"]) | ODD,
        "glance_image_id": st.sampled_from([ID, ID.replace("-", ""), "name"]) | ODD,
        "glance_service_interface": st.sampled_from(["public", "zork"]) | ODD,
        "extra": ODD,
    },
)
STORES = st.lists(st.sampled_from(["fast", "slow", "web", "zork"]), max_size=3)
BODIES = st.fixed_dictionaries(
    {"method": METHOD},
    optional={
        "stores": STORES | ODD,
        "all_stores": st.booleans() | ODD,
        "all_stores_must_succeed": st.booleans() | ODD,
        "extra": ODD,
    },
) | st.fixed_dictionaries({}, optional={"method": ODD, "stores": STORES})


@given(body=BODIES)
@settings(deadline=None, max_examples=250)
def test_what_the_schema_refuses_is_refused(importer: Importer, schema: Any, body: Any) -> None:
    if Draft202012Validator(schema).is_valid(body):
        event("valid")
        return
    found = importer.start(body)
    event(f"{found.status_code}")
    assert 400 <= found.status_code < 500, (body, found.text)


@st.composite
def fitting(draw: Any) -> dict[str, Any]:
    """A body as somebody would write it who has read the schema."""
    name = draw(st.sampled_from(["glance-direct", "web-download", "lab", "glance-download"]))
    if name == "glance-direct":
        return {"method": {"name": name}, "stores": ["fast"]}
    if name == "glance-download":
        regional = {"glance_region": draw(st.sampled_from(["east", "west"])), "glance_image_id": ID}
        return {"method": {"name": name, **regional}, "stores": draw(st.sampled_from([["fast"], ["slow", "fast"]]))}
    if name == "lab":
        uri = (
            f"{draw(st.sampled_from(['http', 'https']))}://lab.example{draw(st.sampled_from(['', ':443', ':8443']))}/x"
        )
        return {"method": {"name": "web-download", "uri": uri}, "stores": ["slow"]}
    host = draw(st.sampled_from(["cloud.vendor.example", "x.mirror.example", "Y.x.mirror.example."]))
    return {"method": {"name": name, "uri": f"https://{host}{draw(st.sampled_from(['', ':443']))}/a?b=c"}}


@given(body=fitting(), must=st.none() | st.booleans())
@settings(deadline=None, max_examples=25)
def test_what_the_schema_describes_is_taken(importer: Importer, schema: Any, body: Any, must: bool | None) -> None:
    body = {**body, **({} if must is None else {"all_stores_must_succeed": must})}
    Draft202012Validator(schema).validate(body)
    found = importer.start(body)
    event(body["method"]["name"])
    assert found.status_code == 202, (body, found.text)


def test_the_schema_is_the_callers_own(running: Service, schema: Any) -> None:
    assert {way["title"] for way in schema["anyOf"]} == {"glance-direct", "web-download", "glance-download"}
    with running.user("silver") as silver, running.user("admin") as admin:
        closed = silver.http.get("/v2/schemas/import").json()
        assert {way["title"] for way in closed["anyOf"]} == {"glance-direct", "glance-download"}
        wide = admin.http.get("/v2/schemas/import").json()
        assert "copy-image" in {way["title"] for way in wide["anyOf"]}


def test_stores_follow_the_method(schema: Any) -> None:
    stores = {way["title"]: way["properties"]["stores"]["items"]["enum"] for way in schema["anyOf"]}
    assert stores["glance-direct"] == ["fast"]
    assert stores["glance-download"] == ["fast", "slow"]
