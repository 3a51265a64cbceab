"""The real service under a Keystone: what a client sees on the wire."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.identity.keystone_server import PASSWORD, USER, Clock, Cloud, certify, keystone
from tests.served import served


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with keystone(certify(tmp_path_factory.mktemp("keystone"))) as cloud:
        cloud.clock = Clock.of_today()
        yield cloud


@pytest.fixture(scope="module")
def gateway(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    home = tmp_path_factory.mktemp("gateway")
    account = {"auth_url": cloud.url, "username": USER, "password": PASSWORD, "ca_file": str(cloud.certificate)}
    settings = {"identity": {"type": "keystone", "keystone": {**account, "public_url": "https://keystone.example/v3"}}}
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
