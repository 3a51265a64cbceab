"""Sharing: who may share, answer, see and read, over the real service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from jsonschema import Draft4Validator

from tests.sharing.conftest import LIMITS, As

Create = Callable[..., str]


def share(as_: As, path: str, member: str = "friend", status: str | None = None) -> str:
    """Share an image; the path of the membership. `status` is what the member answers."""
    as_("owner").post(f"{path}/members", json={"member": member}).raise_for_status()
    if status is not None:
        as_(member).put(f"{path}/members/{member}", json={"status": status}).raise_for_status()
    return f"{path}/members/{member}"


def listed(client: httpx.Client, **query: str) -> set[str]:
    """The paths of the images of a list, all pages."""
    found: set[str] = set()
    link: str | None = str(httpx.URL("/v2/images", params=query))
    while link:
        page = client.get(link).raise_for_status().json()
        found |= {f"/v2/images/{image['id']}" for image in page["images"]}
        link = page.get("next")
    return found


def test_an_image_is_offered_accepted_and_listed(as_: As, create: Create) -> None:
    path = create()
    added = as_("owner").post(f"{path}/members", json={"member": "friend"})
    assert added.status_code == 200
    member = added.json()
    assert (member["member_id"], member["image_id"], member["status"]) == ("friend", path.split("/")[-1], "pending")
    schema = as_("friend").get("/v2/schemas/member").json()
    assert schema["name"] == "member"
    Draft4Validator(schema).validate(member)
    assert path not in listed(as_("friend"))
    answered = as_("friend").put(f"{path}/members/friend", json={"status": "accepted"})
    assert (answered.status_code, answered.json()["status"]) == (200, "accepted")
    assert path in listed(as_("friend"))
    assert as_("owner").get(f"{path}/members").json() == {"members": [answered.json()], "schema": "/v2/schemas/members"}
    Draft4Validator(as_("friend").get("/v2/schemas/members").json()).validate(
        as_("owner").get(f"{path}/members").json()
    )
    assert as_("owner").delete(f"{path}/members/friend").status_code == 204
    assert path not in listed(as_("friend"))
    assert as_("friend").get(path).status_code == 404


@pytest.mark.parametrize("status", ["pending", "accepted", "rejected"])
def test_a_list_shows_the_memberships_asked_for(as_: As, create: Create, status: str) -> None:
    path = create()
    share(as_, path, status=status)
    for asked in ("pending", "accepted", "rejected", "all"):
        for filters in ({}, {"visibility": "shared"}, {"visibility": "all"}, {"owner": "owner"}):
            shown = path in listed(as_("friend"), member_status=asked, **filters)
            assert shown is (asked in (status, "all")), (asked, filters)
        assert path in listed(as_("owner"), member_status=asked)
        assert path not in listed(as_("other"), member_status=asked)
        assert path in listed(as_("admin"), member_status=asked)
    assert path not in listed(as_("friend"), member_status="all", visibility="public")
    assert as_("friend").get(path).status_code == 200


def test_pages_hold_own_shared_and_public_images_together(as_: As, create: Create) -> None:
    tag = "pages"
    paths = [create(tags=[tag]) for _ in range(3)]
    for path in paths:
        share(as_, path, status="accepted")
    paths += [create(tags=[tag], user="friend"), create(tags=[tag], user="admin", visibility="public")]
    create(tags=[tag], user="other")
    assert listed(as_("friend"), tag=tag, limit="2") == set(paths)


@pytest.mark.parametrize("visibility", ["private", "public", "community"])
def test_memberships_rest_while_an_image_is_not_shared(as_: As, create: Create, visibility: str) -> None:
    path = create(b"x" * 1024)
    membership = share(as_, path, status="accepted")
    patch = {"Content-Type": "application/openstack-images-v2.1-json-patch"}

    def show_as(name: str) -> httpx.Response:
        change = [{"op": "replace", "path": "/visibility", "value": name}]
        return as_("admin").patch(path, json=change, headers=patch).raise_for_status()

    show_as(visibility)
    seen = 404 if visibility == "private" else 200
    assert as_("friend").get(path).status_code == seen
    assert as_("friend").get(f"{path}/file").status_code == seen
    for user in ("owner", "admin"):
        assert as_(user).post(f"{path}/members", json={"member": "other"}).status_code == 403
        assert as_(user).get(f"{path}/members").status_code == 403
        assert as_(user).get(membership).status_code == 404
        assert as_(user).delete(membership).status_code == 403
    assert as_("friend").get(f"{path}/members").status_code == (404 if visibility == "private" else 403)
    show_as("shared")
    assert path in listed(as_("friend"))


def test_data_is_read_by_members_whatever_they_answered(as_: As, create: Create) -> None:
    path = create(b"shared bytes" * 100)
    membership = share(as_, path)
    for status in ("rejected", "accepted", "pending"):
        as_("friend").put(membership, json={"status": status}).raise_for_status()
        assert as_("friend").get(f"{path}/file").content == b"shared bytes" * 100
    assert as_("friend-reader").get(f"{path}/file").status_code == 403
    assert as_("other").get(f"{path}/file").status_code == 404
    as_("owner").delete(membership).raise_for_status()
    assert as_("friend").get(f"{path}/file").status_code == 404


RIGHTS: dict[str, dict[str, int]] = {
    #            share       list        show       answer      remove       tag     deactivate    delete
    "owner": {"add": 200, "list": 200, "show": 200, "put": 403, "del": 204, "tag": 204, "off": 204, "kill": 204},
    "owner-reader": {"add": 403, "list": 200, "show": 200, "put": 403, "del": 403, "tag": 403, "off": 403, "kill": 403},
    "friend": {"add": 403, "list": 200, "show": 200, "put": 200, "del": 403, "tag": 403, "off": 403, "kill": 403},
    "friend-reader": {
        "add": 403, "list": 200, "show": 200, "put": 403, "del": 403, "tag": 403, "off": 403, "kill": 403,
    },
    "other": {"add": 404, "list": 404, "show": 404, "put": 404, "del": 404, "tag": 404, "off": 404, "kill": 404},
    "admin": {"add": 200, "list": 200, "show": 200, "put": 200, "del": 204, "tag": 204, "off": 204, "kill": 204},
}  # fmt: skip

CALLS: dict[str, Callable[[httpx.Client, str], httpx.Response]] = {
    "add": lambda http, path: http.post(f"{path}/members", json={"member": "third"}),
    "list": lambda http, path: http.get(f"{path}/members"),
    "show": lambda http, path: http.get(f"{path}/members/friend"),
    "put": lambda http, path: http.put(f"{path}/members/friend", json={"status": "accepted"}),
    "del": lambda http, path: http.delete(f"{path}/members/friend"),
    "tag": lambda http, path: http.put(f"{path}/tags/t"),
    "off": lambda http, path: http.post(f"{path}/actions/deactivate"),
    "kill": lambda http, path: http.delete(path),
}


@pytest.mark.parametrize(("user", "call"), [(user, call) for user in RIGHTS for call in CALLS])
def test_who_may_what(as_: As, create: Create, user: str, call: str) -> None:
    path = create(b"x" * 512 if call == "off" else None)
    share(as_, path)
    before = state(as_, path)
    answer = CALLS[call](as_(user), path)
    assert answer.status_code == RIGHTS[user][call], answer.text
    if answer.status_code >= 400:
        assert state(as_, path) == before


def state(as_: As, path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    return as_("admin").get(path).json(), as_("admin").get(f"{path}/members").json()


def test_a_member_learns_nothing_of_the_others(as_: As, create: Create) -> None:
    path = create()
    share(as_, path)
    share(as_, path, "other")
    assert [one["member_id"] for one in as_("friend").get(f"{path}/members").json()["members"]] == ["friend"]
    assert as_("friend").get(f"{path}/members/other").status_code == 404
    assert as_("friend").put(f"{path}/members/other", json={"status": "accepted"}).status_code == 404
    assert [one["member_id"] for one in as_("owner").get(f"{path}/members").json()["members"]] == ["friend", "other"]


def test_twice_and_once_too_often(as_: As, create: Create) -> None:
    path = create()
    share(as_, path)
    again = as_("owner").post(f"{path}/members", json={"member": "friend"})
    assert (again.status_code, again.json()["error"]["reason"]) == (409, "member-exists")
    for number in range(LIMITS["max_members"] - 1):
        share(as_, path, f"more-{number}")
    over = as_("owner").post(f"{path}/members", json={"member": "one-too-many"})
    assert (over.status_code, over.json()["error"]["reason"]) == (413, "too-many-members")
    assert len(as_("owner").get(f"{path}/members").json()["members"]) == LIMITS["max_members"]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'"friend"', b"{}", b'{"member": ""}', b'{"member": 3}', b'{"member": null}',
             b'{"member": {"id": "x"}}', b'{"member": "' + b"x" * 256 + b'"}', b'{"member": "a\\u0000"}', b"{"],
)  # fmt: skip
def test_bad_memberships(as_: As, create: Create, body: bytes) -> None:
    path = create()
    head = {"Content-Type": "application/json"}
    answer = as_("owner").post(f"{path}/members", content=body, headers=head)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"status": "zork"}', b'{"status": null}', b'{"status": ["accepted"]}',
             b'{"status": {}}', b'{"status": "Accepted"}'],
)  # fmt: skip
def test_bad_answers(as_: As, create: Create, body: bytes) -> None:
    path = create()
    membership = share(as_, path)
    head = {"Content-Type": "application/json"}
    assert as_("friend").put(membership, content=body, headers=head).status_code == 400
    assert as_("owner").get(membership).json()["status"] == "pending"


def test_what_is_not_there(as_: As, create: Create) -> None:
    path = create()
    missing = "/v2/images/00000000-0000-0000-0000-000000000000"
    for where in (missing, "/v2/images/zork"):
        assert as_("owner").post(f"{where}/members", json={"member": "friend"}).status_code == 404
        assert as_("owner").get(f"{where}/members").status_code == 404
    assert as_("owner").get(f"{path}/members/nobody").status_code == 404
    assert as_("owner").delete(f"{path}/members/nobody").status_code == 404
    assert as_("admin").put(f"{path}/members/nobody", json={"status": "accepted"}).status_code == 404


@pytest.mark.parametrize(
    ("path", "verb", "allowed"),
    [
        ("/members", "PUT", "GET, POST"),
        ("/members", "HEAD", "GET, POST"),
        ("/members/friend", "POST", "GET, PUT, DELETE"),
        ("/members/friend", "PATCH", "GET, PUT, DELETE"),
        ("/tags/t", "GET", "PUT, DELETE"),
        ("/actions/deactivate", "GET", "POST"),
        ("/actions/reactivate", "PUT", "POST"),
    ],
)
def test_other_verbs_are_told_which_ones_there_are(as_: As, create: Create, path: str, verb: str, allowed: str) -> None:
    answer = as_("owner").request(verb, f"{create()}{path}")
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
