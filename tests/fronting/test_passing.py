"""Calls that are no imports reach the image service as they are, and its answers come back as they are."""

from __future__ import annotations

import json
import socket
from typing import Any

import httpx
import pytest

from gateway.api.behind import _object
from gateway.api.passing import Read
from gateway.model.errors import Unavailable
from gateway.upstream import Carrier, Place
from gateway.upstream.connection import passed
from tests.cli.service import eventually
from tests.clients.site import User
from tests.fronting.site import Fronted
from tests.images import sound

PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
DIFFERENT = ("request_id", "locations", "direct_url", "created_at", "updated_at", "id", "images", "next", "first")
OWN = {"location", "date", "x-openstack-request-id", "transfer-encoding", "connection"}
BODY = bytes(range(256)) * 12_345


@pytest.fixture
def image(alone: User) -> str:
    """An active image that came in without the gateway."""
    return _there(alone)


def _there(alone: User) -> str:
    made = alone.create(name="there already", tags=["a", "b"], os_distro="debian")
    alone.save(made, BODY).raise_for_status()
    return made


CALLS = (
    ("GET", "/v2/images?limit=1&sort=created_at:desc", None),
    ("GET", "/v2/images/{image}", None),
    ("GET", "/v2/images/{image}/file", None),
    ("GET", "/v2/images/{image}/members", None),
    ("GET", "/v2/images/00000000-0000-4000-8000-000000000000", None),
    ("GET", "/v2/images?limit=junk", None),
    ("GET", "/v2/schemas/image", None),
    ("GET", "/v2/schemas/members", None),
    ("GET", "/v2/info/stores", None),
    ("GET", "/v2/metadefs/namespaces", None),
    ("GET", "/v2/metadefs/resource_types", None),
    ("PUT", "/v2/images/{image}/tags/new", b""),
    ("DELETE", "/v2/images/{image}/tags/none", None),
    ("POST", "/v2/images/{image}/members", b'{"member": "p2"}'),
    ("POST", "/v2/images/{image}/members", b"{}"),
    ("POST", "/v2/images", b'{"disk_format": "none of these"}'),
    ("POST", "/v2/images", b"no json"),
    ("PATCH", "/v2/images/{image}", b'[{"op": "replace", "path": "/name", "value": "n"}]'),
    ("PATCH", "/v2/images/{image}", b'[{"op": "replace", "path": "/id", "value": "n"}]'),
    ("POST", "/v2/images/{image}/actions/deactivate", b""),
    ("GET", "/v2/images/{image}/tasks", None),
)  # fmt: skip


@pytest.mark.parametrize(("verb", "path", "body"), CALLS, ids=[f"{verb} {path}" for verb, path, _ in CALLS])
def test_a_call_is_answered_as_without_the_gateway(
    alice: User, alone: User, image: str, verb: str, path: str, body: bytes | None
) -> None:
    said = [_said(alice.http, verb, path, image, body), _said(alone.http, verb, path, _there(alone), body)]
    assert said[0] == said[1]


WITH_BODIES = (
    ("GET", "/v2/images"), ("GET", "/v2/images/{image}"), ("GET", "/v2/images/{image}/tasks"),
    ("GET", "/v2/images/{image}/file"), ("DELETE", "/v2/images/{image}"),
)  # fmt: skip


@pytest.mark.parametrize(("verb", "path"), WITH_BODIES, ids=[f"{verb} {path}" for verb, path in WITH_BODIES])
def test_a_body_nobody_expects_is_refused_as_without_the_gateway(
    alice: User, alone: User, image: str, verb: str, path: str
) -> None:
    said = [
        http.request(verb, path.format(image=image), content=b"{}").status_code for http in (alice.http, alone.http)
    ]
    assert said[0] == said[1] < 500


@pytest.mark.parametrize("path", ["/v2/images", "/v2/images/{image}/members"])
def test_a_body_without_a_length_passes(alice: User, image: str, path: str) -> None:
    pieces = iter([b'{"name": "in', b' pieces", "member": "p2"}'])
    sent = alice.http.post(path.format(image=image), content=pieces, headers={"Content-Type": "application/json"})
    assert sent.status_code in (200, 201), sent.text


def _said(http: httpx.Client, verb: str, path: str, image: str, body: bytes | None) -> tuple[int, Any, object]:
    headers = PATCH if verb == "PATCH" else {"Content-Type": "application/json"} if body else {}
    answer = http.request(verb, path.format(image=image), content=body, headers=headers)
    kept = {name: value for name, value in answer.headers.items() if name not in OWN}
    content = answer.content.replace(image.encode(), b"IMAGE")
    try:
        return answer.status_code, _lengthless(kept), _timeless(json.loads(content))
    except ValueError:
        return answer.status_code, kept, content


def _lengthless(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name != "content-length"}


def _timeless(found: object) -> object:
    """Without what differs between any two calls."""
    if isinstance(found, dict):
        return {name: _timeless(value) for name, value in found.items() if name not in DIFFERENT}
    return found


def test_a_range_is_served_as_asked(alice: User, image: str) -> None:
    part = alice.file(image, Range="bytes=1000-1999")
    assert (part.status_code, part.content) == (206, BODY[1000:2000])
    assert part.headers["content-range"] == f"bytes 1000-1999/{len(BODY)}"
    assert alice.file(image, Range=f"bytes={len(BODY)}-").status_code == 416


def test_both_services_know_a_call_by_one_id(alice: User, alone: User, image: str) -> None:
    wanted = "req-11111111-2222-4333-8444-555555555555"
    missing = alice.http.get(
        "/v2/images/00000000-0000-4000-8000-000000000000", headers={"X-OpenStack-Request-ID": wanted}
    )
    assert missing.headers["x-openstack-request-id"] == wanted
    assert missing.json()["error"]["request_id"] == wanted


def test_the_callers_own_token_decides(site: Fronted, image: str) -> None:
    with site.user("bob") as bob:
        assert bob.http.get(f"/v2/images/{image}").status_code == 404
        assert bob.http.put(f"/v2/images/{image}/stage", content=b"x").status_code == 404
        junk = bob.http.get("/v2/images", headers={"X-Auth-Token": "junk"})
        assert junk.status_code == 401
        assert junk.headers["www-authenticate"].startswith("Keystone uri=")


def test_links_lead_back_to_the_gateway(site: Fronted, alice: User) -> None:
    for path in ("/", "/versions", "/v3", "/v2.99/none"):
        answer = alice.http.get(path)
        if answer.status_code < 400:
            assert site.behind.url.encode() not in answer.content
            assert site.line.url.encode() not in answer.content
    assert {link["href"] for one in alice.http.get("/versions").json()["versions"] for link in one["links"]} == {
        f"{site.front.url}/v2/"
    }


def test_a_created_image_names_the_methods_of_its_creator(site: Fronted, alice: User) -> None:
    made = alice.http.post("/v2/images", json={"name": "new"})
    assert made.headers["openstack-image-import-methods"] == "copy-image,glance-direct,oci-download,web-download"
    with site.user("bob") as bob:
        mine = bob.http.post("/v2/images", json={"name": "new"})
        assert "web-download" not in mine.headers["openstack-image-import-methods"]
    assert alice.http.get(f"/v2/images/{made.json()['id']}").json()["status"] == "queued"


def test_only_what_is_the_gateways_own_is_in_its_document(alice: User) -> None:
    paths = alice.http.get("/openapi.json").json()["paths"]
    assert set(paths["/v2/images/{image_id}/stage"]) >= {"put", "post"}
    assert "/v2/schemas/image" not in paths
    assert set(paths["/v2/images/{image_id}"]) >= {"get", "patch", "delete"}


def test_refusals_for_want_of_rules_point_to_stores_that_are_there(alice: User) -> None:
    schema = alice.http.get("/v2/schemas/import").raise_for_status()
    assert '"fast"' in schema.text
    assert '"staging"' not in schema.text


@pytest.mark.parametrize("trouble", ["reset", "end"])
def test_a_part_of_a_download_that_never_comes_is_no_short_answer(
    site: Fronted, alice: User, image: str, trouble: str
) -> None:
    with site.line.troubled(trouble, after=1 << 20, only=b"GET"), pytest.raises(httpx.RemoteProtocolError):
        alice.file(image)
    assert alice.file(image).content == BODY


def test_an_answer_that_ends_before_its_length_is_known_to_be_short(site: Fronted, alice: User, image: str) -> None:
    carrier = Carrier(Place(endpoint=site.line.url))
    with site.line.troubled("end", after=1 << 20, only=b"GET"):
        token = [(b"x-auth-token", alice.http.headers["x-auth-token"].encode())]
        coming = carrier.get(f"/v2/images/{image}/file", b"", token)
        with pytest.raises(Unavailable, match="to its end"):
            list(coming.blocks)


AWAY = (
    ("GET", "/v2/images"),
    ("GET", "/v2/images/{image}"),
    ("GET", "/v2/images/{image}/file"),
    ("PUT", "/v2/images/{image}/file"),
    ("PUT", "/v2/images/{image}/stage"),
    ("POST", "/v2/images/{image}/import"),
    ("GET", "/v2/images/{image}/tasks"),
    ("DELETE", "/v2/images/{image}"),
    ("GET", "/versions"),
)


@pytest.mark.parametrize(("verb", "path"), AWAY, ids=[f"{verb} {path}" for verb, path in AWAY])
@pytest.mark.parametrize("trouble", ["refuse", "stall"])
def test_a_service_that_is_away_is_said_by_name(
    site: Fronted, alice: User, image: str, verb: str, path: str, trouble: str
) -> None:
    body = json.dumps({"method": {"name": "glance-direct"}}).encode() if verb == "POST" else None
    with site.line.troubled(trouble):
        answer = alice.http.request(verb, path.format(image=image), content=body)
    assert (answer.status_code, alice.error(answer)["reason"]) == (503, "upstream-away")


def test_what_it_says_when_it_is_broken_passes(site: Fronted, alice: User) -> None:
    with site.line.troubled("error"):
        assert alice.http.get("/v2/images").status_code == 502


def test_a_sound_image_is_what_the_tests_think(alice: User) -> None:
    image = alice.create(disk_format="qcow2", container_format="bare")
    assert alice.save(image, sound.qcow2()).status_code == 204


def test_health_says_whether_the_service_answers(site: Fronted, alice: User) -> None:
    assert alice.http.get("/healthcheck?detailed").json()["upstream"] == {"answers": True}
    with site.line.troubled("refuse"):
        found = alice.http.get("/healthcheck?detailed").json()
        assert (found["status"], "did not answer" in found["upstream"]["problem"]) == ("degraded", True)
        assert alice.http.get("/healthcheck").text == "OK"


def test_passed_calls_are_counted(site: Fronted, alice: User) -> None:
    alice.http.get("/v2/images")
    with site.line.troubled("refuse"):
        alice.http.get("/v2/images")
    said = alice.http.get("/metrics").text
    assert 'import_gateway_upstream_seconds_count{status="2xx"}' in said
    assert 'import_gateway_upstream_seconds_count{status="away"}' in said


def test_who_leaves_a_download_ends_it_behind_too(site: Fronted, alice: User, alone: User) -> None:
    image, size = alone.create(), 64 << 20
    alone.save(image, bytes(size)).raise_for_status()
    site.line.carried = 0
    with alice.http.stream("GET", f"/v2/images/{image}/file") as answer:
        next(answer.iter_raw(1))
    eventually(lambda: not site.line.open)
    assert 0 < site.line.carried < size


@pytest.mark.parametrize("path", ["/v2/images/../tasks", "/v2/images/%2e%2e/tasks", "/v2/stores/../images"])
def test_no_way_round_leads_to_what_is_closed(site: Fronted, alice: User, path: str) -> None:
    host, port = site.front.url.removeprefix("http://").split(":")
    token = alice.http.headers["x-auth-token"]
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nX-Auth-Token: {token}\r\nContent-Length: 2\r\n\r\n{{}}"
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode())
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 400 ")


def test_only_names_that_every_server_reads_alike_go_on() -> None:
    names = [b"x-auth-token", b"x_auth_token", b"x-forwarded-for", b"x_forwarded_for", b"content_length", b"te"]
    assert [name for name, _ in passed((name, b"1") for name in names)] == [b"x-auth-token"]


def test_an_answer_that_nests_too_deep_passes_as_it_is() -> None:
    assert _object(Read(200, [], b"[" * 100_000)) is None
