"""Tags, deactivation, protection, visibility and hiding, over the real service."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.sharing.conftest import LIMITS, As
from tests.sharing.test_members import listed

Create = Callable[..., str]
PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}


def change(http: httpx.Client, path: str, field: str, value: Any) -> httpx.Response:
    return http.patch(path, json=[{"op": "replace", "path": f"/{field}", "value": value}], headers=PATCH)


def tags(as_: As, path: str) -> list[str]:
    found: list[str] = as_("owner").get(path).json()["tags"]
    return found


def test_tags_come_and_go(as_: As, create: Create) -> None:
    path = create()
    for _ in range(2):
        assert as_("owner").put(f"{path}/tags/two%20words").status_code == 204
    assert as_("owner").put(f"{path}/tags/naïve").status_code == 204
    assert tags(as_, path) == ["two words", "naïve"]
    assert path in listed(as_("owner"), tag="two words")
    assert as_("owner").delete(f"{path}/tags/two%20words").status_code == 204
    assert tags(as_, path) == ["naïve"]
    again = as_("owner").delete(f"{path}/tags/two%20words")
    assert again.status_code == 404
    assert "two words" in again.json()["error"]["message"]


def test_tags_have_limits(as_: As, create: Create) -> None:
    path = create(tags=[str(number) for number in range(LIMITS["max_tags"])])
    assert as_("owner").put(f"{path}/tags/0").status_code == 204
    assert as_("owner").put(f"{path}/tags/more").status_code == 413
    assert as_("owner").put(f"{create()}/tags/{'x' * 255}").status_code == 204
    assert as_("owner").put(f"{create()}/tags/{'x' * 256}").status_code == 400
    assert len(tags(as_, path)) == LIMITS["max_tags"]


def test_tags_of_what_is_not_there(as_: As) -> None:
    missing = "/v2/images/00000000-0000-0000-0000-000000000000"
    assert as_("owner").put(f"{missing}/tags/t").status_code == 404
    assert as_("owner").delete(f"{missing}/tags/t").status_code == 404


@pytest.mark.parametrize("path", ["tags/t", "actions/deactivate", "actions/reactivate"])
def test_bodies_are_not_expected(as_: As, create: Create, path: str) -> None:
    verb = "PUT" if path.startswith("tags") else "POST"
    assert as_("owner").request(verb, f"{create(b'x' * 512)}/{path}", content=b"{}").status_code == 400


def test_a_deactivated_image_is_read_by_administrators_alone(as_: As, create: Create) -> None:
    path = create(b"x" * 512)
    assert as_("owner").post(f"{path}/actions/deactivate").status_code == 204
    assert as_("owner").get(path).json()["status"] == "deactivated"
    first = f"gte:{datetime.now(UTC).isoformat()}"
    assert as_("owner").post(f"{path}/actions/deactivate").status_code == 204
    assert path not in listed(as_("owner"), updated_at=first)
    assert as_("owner").get(f"{path}/file").status_code == 403
    assert as_("admin").get(f"{path}/file").content == b"x" * 512
    for _ in range(2):
        assert as_("owner").post(f"{path}/actions/reactivate").status_code == 204
        assert as_("owner").get(path).json()["status"] == "active"
    assert as_("owner").get(f"{path}/file").content == b"x" * 512


@pytest.mark.parametrize("action", ["deactivate", "reactivate"])
def test_only_images_with_data_are_switched(as_: As, create: Create, action: str) -> None:
    queued, staged = create(), create()
    head = {"Content-Type": "application/octet-stream"}
    as_("owner").put(f"{staged}/stage", content=b"x" * 512, headers=head).raise_for_status()
    for path, status in ((queued, "queued"), (staged, "uploading")):
        for user in ("owner", "admin"):
            answer = as_(user).post(f"{path}/actions/{action}")
            assert (answer.status_code, as_("owner").get(path).json()["status"]) == (403, status)
            assert status in answer.json()["error"]["message"]


def test_a_protected_image_stays(as_: As, create: Create) -> None:
    path = create(protected=True)
    for user in ("owner", "admin"):
        assert as_(user).delete(path).status_code == 403
    assert path in listed(as_("owner"), protected="true")
    assert path not in listed(as_("owner"), protected="false")
    change(as_("owner"), path, "protected", False).raise_for_status()
    assert as_("owner").delete(path).status_code == 204
    assert as_("owner").get(path).status_code == 404


VISIBILITY: dict[str, dict[str, int]] = {
    "owner": {"private": 200, "shared": 200, "community": 200, "public": 403},
    "owner-reader": {"private": 403, "shared": 403, "community": 403, "public": 403},
    "other": {"private": 404, "shared": 404, "community": 404, "public": 404},
    "admin": {"private": 200, "shared": 200, "community": 200, "public": 200},
}


@pytest.mark.parametrize(("user", "visibility"), [(user, name) for user in VISIBILITY for name in VISIBILITY[user]])
def test_who_may_show_an_image_to_whom(as_: As, create: Create, user: str, visibility: str) -> None:
    path = create(visibility="private" if visibility != "private" else "shared")
    before = as_("admin").get(path).json()
    answer = change(as_(user), path, "visibility", visibility)
    assert answer.status_code == VISIBILITY[user][visibility]
    after = as_("admin").get(path).json()
    assert after["visibility"] == visibility if answer.status_code == 200 else after == before


def test_the_project_of_a_public_image_may_still_edit_it(as_: As, create: Create) -> None:
    path = create()
    change(as_("admin"), path, "visibility", "public").raise_for_status()
    assert change(as_("owner"), path, "name", "new").status_code == 200
    assert change(as_("other"), path, "name", "stolen").status_code == 403
    assert change(as_("owner"), path, "visibility", "private").status_code == 200


def test_community_images_are_found_when_asked_for(as_: As, create: Create) -> None:
    path = create(visibility="community")
    assert as_("other").get(path).status_code == 200
    assert path in listed(as_("owner"))
    assert path not in listed(as_("other"))
    assert path in listed(as_("other"), visibility="community")
    assert path in listed(as_("other"), visibility="all")
    assert path not in listed(as_("other"), visibility="shared")


@pytest.mark.parametrize("visibility", ["shared", "community", "public"])
def test_hidden_images_are_listed_only_when_asked_for(as_: As, create: Create, visibility: str) -> None:
    path = create(user="admin", visibility=visibility, os_hidden=True)
    assert path not in listed(as_("admin"), visibility=visibility)
    assert path in listed(as_("admin"), visibility=visibility, os_hidden="true")
    assert (path in listed(as_("other"), visibility=visibility, os_hidden="true")) is (visibility != "shared")
    change(as_("admin"), path, "os_hidden", False).raise_for_status()
    assert path in listed(as_("admin"), visibility=visibility)
    assert path not in listed(as_("admin"), visibility=visibility, os_hidden="true")
