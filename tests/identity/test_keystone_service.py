"""The real service under a Keystone: what a client sees on the wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.cli.service import eventually, web
from tests.identity.keystone_server import PASSWORD, USER, Clock, Cloud, certify, keystone
from tests.served import served


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with keystone(certify(tmp_path_factory.mktemp("keystone"))) as cloud:
        cloud.clock = Clock.of_today()
        yield cloud


BODY = b"an image that stays where it is" * 100


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A URL with an image's bytes."""
    folder: Path = tmp_path_factory.mktemp("web")
    (folder / "disk.raw").write_bytes(BODY)
    with web(folder) as port:
        yield f"http://127.0.0.1:{port}/disk.raw"


@pytest.fixture(scope="module")
def gateway(cloud: Cloud, elsewhere: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    home = tmp_path_factory.mktemp("gateway")
    account = {"auth_url": cloud.url, "username": USER, "password": PASSWORD, "ca_file": str(cloud.certificate)}
    settings = {
        "identity": {"type": "keystone", "keystone": {**account, "public_url": "https://keystone.example/v3"}},
        "stores": [{"name": "fast", "default": True}, {"name": "web", "type": "http"}],
        "fetch": {"allowed_networks": ["127.0.0.0/8"], "ports": [httpx.URL(elsewhere).port]},
    }
    (home / "gateway.yaml").write_text(json.dumps(settings))
    with served(home, "--config", "gateway.yaml") as url, httpx.Client(base_url=url, trust_env=False) as client:
        yield client


def test_a_401_says_where_tokens_are_given(gateway: httpx.Client) -> None:
    for headers in ({}, {"X-Auth-Token": "junk"}):
        refused = gateway.get("/v2/images", headers=headers)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == 'Keystone uri="https://keystone.example/v3"'
        assert "X-Auth-Token" in refused.json()["error"]["message"]


def test_images_belong_to_the_tokens_project(gateway: httpx.Client, cloud: Cloud) -> None:
    made = gateway.post("/v2/images", json={"name": "mine"}, headers={"X-Auth-Token": cloud.issue("alice")})
    assert (made.status_code, made.json()["owner"]) == (201, "p1")
    other = {"domain": {"id": "d1", "name": "Corp"}, "id": "p2", "name": "beta"}
    cloud.projects["p2"] = []
    hidden = gateway.get(made.headers["location"], headers={"X-Auth-Token": cloud.issue("bob", project=other)})
    assert hidden.status_code == 404


def test_access_rules_are_held_against_the_path_that_is_served(gateway: httpx.Client, cloud: Cloud) -> None:
    cloud.restricted("robot", ("image", "GET", "/v2/images"), ("image", "GET", "/v2/images/x"))
    said = {path: gateway.get(path, headers={"X-Auth-Token": "robot"}).status_code for path in SPELLINGS}
    assert said == SPELLINGS


SPELLINGS = {
    "/v2/images": 200,
    "/v2.9/images": 200,
    "/v2/images?limit=1": 200,
    "/v2/%69mages": 200,
    "/v2/images/x": 404,
    "/v2/images/x%3Fy": 401,
    "/v2/info/import": 401,
    "/v2/schemas/image": 401,
    "/v2/images/2f2c6e5e-6f0c-4d2a-9a51-6a3a5f3c1d0e": 401,
}


def test_a_keystone_that_is_away_is_503(gateway: httpx.Client, cloud: Cloud) -> None:
    cloud.broken = lambda answering: answering.send(500, b"") is None
    refused = gateway.get("/v2/images", headers={"X-Auth-Token": cloud.issue("late")})
    cloud.broken = lambda answering: False
    assert refused.status_code == 503
    assert refused.json()["error"]["reason"] == "identity-away"
    assert gateway.get("/v2/images", headers={"X-Auth-Token": "late"}).status_code == 200


# Roles


BOB = {"domain": {"id": "d1", "name": "Corp"}, "id": "p2", "name": "beta"}


def as_(cloud: Cloud, *roles: str, service: tuple[str, ...] = (), **more: object) -> dict[str, str]:
    """The headers of a call by a user with these roles, or by a service for that user."""
    cloud.projects.setdefault("p2", [])
    headers = {"X-Auth-Token": cloud.issue(f"user-{'-'.join(roles)}-{len(cloud.tokens)}", roles=roles, **more)}
    if service:
        headers["X-Service-Token"] = cloud.issue(f"service-{len(cloud.tokens)}", roles=service)
    return headers


def made(gateway: httpx.Client, cloud: Cloud, **values: str) -> str:
    """The path of a new image of p1."""
    body = {"disk_format": "raw", "container_format": "bare", **values}
    answer = gateway.post("/v2/images", json=body, headers=as_(cloud, "member", "reader"))
    return str(answer.raise_for_status().json()["self"])


@pytest.mark.parametrize(
    ("roles", "listed", "shown"),
    [
        (("reader",), 200, 200),
        (("Reader",), 200, 200),
        (("member",), 200, 200),
        (("admin",), 200, 200),
        (("service",), 200, 200),
        (("auditor", "load-balancer_member"), 403, 404),
        ((), 403, 404),
    ],
)
def test_reading_asks_for_a_role_that_reads(
    gateway: httpx.Client, cloud: Cloud, roles: tuple[str, ...], listed: int, shown: int
) -> None:
    image, headers = made(gateway, cloud), as_(cloud, *roles)
    assert gateway.get("/v2/images", headers=headers).status_code == listed
    for path in (image, f"{image}/tasks", f"{image}/members"):
        assert gateway.get(path, headers=headers).status_code == shown


def test_without_a_role_that_reads_there_is_nothing_to_change_either(gateway: httpx.Client, cloud: Cloud) -> None:
    image, headers = made(gateway, cloud, visibility="community"), as_(cloud, "auditor")
    assert gateway.delete(image, headers=headers).status_code == 404
    assert gateway.post("/v2/images", json={"name": "no"}, headers=headers).status_code == 403
    refused = gateway.get("/v2/images", headers=headers).json()["error"]
    assert (refused["reason"], "reader" in refused["message"]) == ("forbidden", True)


def test_a_service_reads_and_adds_locations(gateway: httpx.Client, cloud: Cloud, elsewhere: str) -> None:
    user, nova = as_(cloud, "member", "reader"), as_(cloud, "member", "service")
    image = made(gateway, cloud)
    added = gateway.post(f"{image}/locations", json={"url": elsewhere}, headers=nova)
    assert added.status_code == 202, added.text
    eventually(lambda: gateway.get(image, headers=user).json()["status"] == "active")
    assert gateway.get(f"{image}/locations", headers=user).status_code == 403
    found = gateway.get(f"{image}/locations", headers=nova)
    assert (found.status_code, found.json()) == (200, [{"url": elsewhere, "metadata": {"store": "web"}}])
    assert gateway.get(f"{image}/file", headers=user).content == BODY


@pytest.mark.parametrize(
    ("roles", "service", "status"),
    [
        (("member", "reader"), (), 403),
        (("member", "reader"), ("service",), 403),
        (("service",), (), 200),
        (("admin", "member", "reader"), (), 200),
        (("member", "reader"), ("member",), 401),
    ],
)
def test_locations_are_shown_to_services_and_administrators(
    gateway: httpx.Client, cloud: Cloud, roles: tuple[str, ...], service: tuple[str, ...], status: int
) -> None:
    image = made(gateway, cloud)
    headers = as_(cloud, *roles, service=service)
    assert gateway.get(f"{image}/locations", headers=headers).status_code == status
    assert gateway.get("/v2/info/stores/detail", headers=headers).status_code == status


def test_a_service_token_adds_nothing_to_what_its_user_may(gateway: httpx.Client, cloud: Cloud) -> None:
    image = made(gateway, cloud)
    headers = as_(cloud, "member", "reader", service=("service", "admin"), project=BOB)
    for path, status in ((image, 404), (f"{image}/locations", 403), (f"{image}/file", 404)):
        assert gateway.get(path, headers=headers).status_code == status
    assert gateway.delete(image, headers=headers).status_code == 404
    assert gateway.get("/v2/tasks", headers=headers).status_code == 403


def test_a_service_may_name_schemes_that_users_may_not(gateway: httpx.Client, cloud: Cloud) -> None:
    image, place = made(gateway, cloud), {"url": "rbd://fsid/pool/image/snap"}
    refused = gateway.post(f"{image}/locations", json=place, headers=as_(cloud, "member", "reader"))
    assert refused.status_code == 403
    unknown = gateway.post(f"{image}/locations", json=place, headers=as_(cloud, "member", "service"))
    assert unknown.status_code == 400


@pytest.mark.parametrize("verb", ["HEAD", "POST", "PUT", "PATCH", "DELETE"])
def test_usage_knows_one_verb(gateway: httpx.Client, cloud: Cloud, verb: str) -> None:
    """Alone among its siblings, which answer 405."""
    headers = as_(cloud, "member", "reader")
    assert gateway.request(verb, "/v2/info/usage", headers=headers).status_code == 404
    assert gateway.request(verb, "/v2/info/import", headers=headers).status_code == 405
    assert gateway.get("/v2/info/usage", headers=headers).status_code == 200
