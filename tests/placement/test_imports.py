"""Imports into many stores, and copies of active images."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.site import User
from tests.faults.service import Service
from tests.faults.sources import Sources, content
from tests.placement.site import broken, from_store, holding, saved, sound, staged, start, until
from tests.serving.backing import on_disk

BODY = content(21, 2_500_000)


def test_all_stores_are_those_that_take_bytes(running: Service, gold: User) -> None:
    image = staged(gold, BODY)
    start(gold, image, all_stores=True).raise_for_status()
    shown = gold.reaches(image, "active")
    assert shown["stores"] == "fast,slow"
    assert not [name for name in shown if name.startswith("os_glance")]
    assert from_store(gold, image, "fast") == from_store(gold, image, "slow") == BODY
    sound(running)


def test_the_staged_blob_is_where_it_was_asked_for(running: Service, gold: User) -> None:
    """Staging writes into the default store; nothing is left there if it was not asked for."""
    image = staged(gold, BODY)
    start(gold, image, stores=["slow"]).raise_for_status()
    assert gold.reaches(image, "active")["stores"] == "slow"
    sound(running)
    assert gold.file(image).content == BODY


def test_the_header_names_a_store(gold: User) -> None:
    image = staged(gold, b"by header")
    start(gold, image, header="slow").raise_for_status()
    assert gold.reaches(image, "active")["stores"] == "slow"


def test_a_download_is_delivered_to_all(gold: User, fetched_from: Sources) -> None:
    image = gold.create()
    start(gold, image, "web-download", uri=fetched_from.paced(22, 3_000_000, 300), all_stores=True).raise_for_status()
    assert gold.reaches(image, "active")["stores"] == "fast,slow"
    assert from_store(gold, image, "slow") == content(22, 3_000_000)


@pytest.mark.parametrize(
    ("header", "body", "status"),
    [
        ("slow", {"stores": ["fast"]}, 400),
        ("slow", {"all_stores": True}, 400),
        ("", {"stores": ["fast"], "all_stores": True}, 400),
        ("", {"stores": []}, 400),
        ("", {"stores": "fast"}, 400),
        ("", {"all_stores": "yes"}, 400),
        ("", {"all_stores_must_succeed": 1}, 400),
        ("", {"stores": ["fast", "zork"]}, 409),
        ("zork", {}, 409),
        ("", {"stores": ["fast", "web"]}, 409),
    ],
)
def test_stores_that_cannot_be_meant_are_refused(gold: User, header: str, body: dict[str, Any], status: int) -> None:
    image = staged(gold, b"x")
    answer = start(gold, image, header=header, **body)
    assert answer.status_code == status
    gold.error(answer)
    assert gold.show(image)["status"] == "uploading"
    assert gold.http.get(f"/v2/images/{image}/tasks").json()["tasks"] == []


def test_file_names_its_store(running: Service, gold: User) -> None:
    image = saved(gold, b"in slow", "slow")
    assert gold.show(image)["stores"] == "slow"
    refused = {store: gold.create() for store in ("zork", "web")}
    headers = {"Content-Type": "application/octet-stream"}
    codes = {
        store: gold.http.put(
            f"/v2/images/{queued}/file", content=b"x", headers={**headers, "X-Image-Meta-Store": store}
        ).status_code
        for store, queued in refused.items()
    }
    assert codes == {"zork": 400, "web": 410}


def test_a_store_that_fails_fails_the_import(running: Service, gold: User) -> None:
    image = staged(gold, BODY)
    with broken(running, "slow"):
        start(gold, image, all_stores=True).raise_for_status()
        task = gold.ended(image)
    assert (task["status"], task["code"]) == ("failure", "store-broken")
    assert set(task["stores"]["failed"]) == {"fast", "slow"}
    shown = gold.show(image)
    assert shown["status"] == "queued"
    assert "stores" not in shown
    assert shown["os_glance_failed_import"] == "fast,slow"
    sound(running)


@pytest.mark.parametrize("lost", ["fast", "slow"])
def test_a_store_may_fail_where_not_all_must_succeed(
    running: Service, gold: User, fetched_from: Sources, lost: str
) -> None:
    image = gold.create()
    with broken(running, lost):
        uri = fetched_from.paced(23, 1_000_000, 0)
        start(gold, image, "web-download", uri=uri, all_stores=True, all_stores_must_succeed=False).raise_for_status()
        task = gold.ended(image)
    other = {"fast": "slow", "slow": "fast"}[lost]
    assert task["status"] == "success"
    assert list(task["stores"]["failed"]) == [lost]
    shown = gold.show(image)
    assert (shown["status"], shown["stores"], shown["os_glance_failed_import"]) == ("active", other, lost)
    assert gold.file(image).content == content(23, 1_000_000)
    sound(running)


def test_if_no_store_takes_it_the_import_fails(running: Service, gold: User, fetched_from: Sources) -> None:
    image = gold.create()
    with broken(running, "fast"), broken(running, "slow"):
        uri = fetched_from.paced(24, 1000, 0)
        start(gold, image, "web-download", uri=uri, all_stores=True, all_stores_must_succeed=False).raise_for_status()
        assert gold.ended(image)["status"] == "failure"
    assert gold.show(image)["status"] == "queued"
    sound(running)


def test_progress_names_the_stores_that_are_left(gold: User, fetched_from: Sources) -> None:
    image = gold.create()
    uri = fetched_from.paced(25, 1_000_000, 1500)
    start(gold, image, "web-download", uri=uri, all_stores=True).raise_for_status()
    shown = gold.show(image)
    assert (shown["os_glance_importing_to_stores"], shown["os_glance_failed_import"]) == ("fast,slow", "")
    assert shown["os_glance_import_task"]
    gold.reaches(image, "active")


# copy-image


def test_a_copy_is_the_same_bytes(running: Service, gold: User) -> None:
    image = saved(gold, BODY)
    before = gold.show(image)
    start(gold, image, "copy-image", stores=["slow"]).raise_for_status()
    shown = until(gold, image, lambda image: image["stores"] == "fast,slow")
    assert from_store(gold, image, "slow") == BODY
    shown = until(gold, image, lambda image: image.get("os_glance_importing_to_stores") == "")
    assert shown["os_glance_failed_import"] == ""
    changed = {name for name in before if before[name] != shown[name]}
    assert changed <= {"stores", "locations", "updated_at"}
    sound(running)


def test_copies_go_where_there_is_none(gold: User) -> None:
    image = saved(gold, b"some", "slow")
    start(gold, image, "copy-image", all_stores=True, all_stores_must_succeed=False).raise_for_status()
    until(gold, image, lambda image: image["stores"] == "fast,slow")
    gold.ended(image)
    again = start(gold, image, "copy-image", all_stores=True)
    assert again.status_code == 202
    assert len(gold.http.get(f"/v2/images/{image}/tasks").json()["tasks"]) == 1


def test_a_copy_that_is_there_is_refused(gold: User) -> None:
    image = saved(gold, b"here")
    assert start(gold, image, "copy-image", stores=["slow", "fast"]).status_code == 400
    assert start(gold, image, "copy-image").status_code == 400
    assert start(gold, image, "copy-image", stores=["web"]).status_code == 409


def test_only_active_images_are_copied(gold: User) -> None:
    assert start(gold, gold.create(), "copy-image", stores=["slow"]).status_code == 409
    assert start(gold, saved(gold, b"x"), "glance-direct").status_code == 409


def test_a_copy_that_fails_leaves_the_image_active(running: Service, gold: User) -> None:
    image = saved(gold, BODY)
    with broken(running, "slow"):
        start(gold, image, "copy-image", stores=["slow"]).raise_for_status()
        task = gold.ended(image)
    assert (task["status"], task["code"]) == ("failure", "store-broken")
    shown = gold.show(image)
    assert (shown["status"], shown["stores"], shown["os_glance_failed_import"]) == ("active", "fast", "slow")
    assert gold.file(image).content == BODY
    sound(running)


def test_a_damaged_original_is_not_copied(running: Service, gold: User) -> None:
    fast = holding(running, "fast")
    before = set(fast.sizes())
    image = saved(gold, BODY)
    (blob,) = set(fast.sizes()) - before
    fast.replace(blob, BODY[:1_000_000] + b"flipped" + BODY[1_000_007:])
    start(gold, image, "copy-image", stores=["slow"]).raise_for_status()
    assert gold.ended(image)["code"] == "blob-damaged"
    assert gold.show(image)["stores"] == "fast"
    gold.http.delete(f"/v2/images/{image}").raise_for_status()


def test_strangers_copy_nothing(running: Service, gold: User, admin: User) -> None:
    image = saved(gold, b"mine")
    gold.http.patch(
        f"/v2/images/{image}",
        content='[{"op": "replace", "path": "/visibility", "value": "community"}]',
        headers={"Content-Type": "application/openstack-images-v2.1-json-patch"},
    ).raise_for_status()
    with running.user("silver") as silver:
        assert start(silver, image, "copy-image", stores=["slow"]).status_code == 403
    assert start(admin, image, "copy-image", stores=["slow"]).status_code == 202
    until(gold, image, lambda image: image["stores"] == "fast,slow")


# Copies are taken away


def test_one_copy_is_deleted_and_the_last_one_stays(running: Service, gold: User, admin: User) -> None:
    image = staged(gold, BODY)
    start(gold, image, all_stores=True).raise_for_status()
    gold.reaches(image, "active")

    def delete(user: User, store: str, image: str = image) -> int:
        return user.http.delete(f"/v2/stores/{store}/{image}").status_code

    assert delete(gold, "fast") == 403
    assert delete(admin, "zork") == 409
    assert delete(admin, "web") == 404
    assert delete(admin, "fast", gold.create()) == 409
    assert delete(admin, "fast", "9d4c7ba4-0000-0000-0000-000000000000") == 404
    assert delete(admin, "fast") == 204
    assert gold.show(image)["stores"] == "slow"
    assert gold.file(image).content == BODY
    assert delete(admin, "fast") == 404
    assert delete(admin, "slow") == 403
    sound(running)


@on_disk
def test_stores_are_described(gold: User, admin: User) -> None:
    assert gold.http.get("/v2/info/stores").json() == {
        "stores": [
            {"id": "fast", "description": "quick disks", "default": "true"},
            {"id": "slow"},
            {"id": "web", "read-only": "true"},
        ]
    }
    assert gold.http.get("/v2/info/stores/detail").status_code == 403
    fast, _, web = admin.http.get("/v2/info/stores/detail").json()["stores"]
    assert (fast["type"], fast["weight"], fast["default"]) == ("file", 20, "true")
    assert set(fast["properties"]) == {"data_dir", "chunk_size", "thin_provisioning"}
    assert web == {"id": "web", "read-only": "true", "type": "http", "weight": 0, "properties": {}}


def test_an_unknown_preferred_store_is_refused(gold: User) -> None:
    image = saved(gold, b"x")
    assert gold.http.get(f"/v2/images/{image}/file", params={"prefer": "zork"}).status_code == 400
    assert gold.http.get(f"/v2/images/{image}/file", params={"prefer": "slow"}).content == b"x"


# Sources that break


def test_a_source_that_breaks_is_taken_up_and_its_task_says_so(
    running: Service, gold: User, fetched_from: Sources
) -> None:
    image = gold.create()
    uri = fetched_from.url("breaking/26/1000000/400000")
    start(gold, image, "web-download", uri=uri, all_stores=True).raise_for_status()
    task = gold.ended(image)
    assert (task["status"], "2 times" in task["message"]) == ("success", True), task
    assert from_store(gold, image, "slow") == from_store(gold, image, "fast") == content(26, 1_000_000)
    sound(running)


def test_a_source_that_breaks_too_often_fails_by_name(running: Service, gold: User, fetched_from: Sources) -> None:
    image = gold.create()
    start(gold, image, "web-download", uri=fetched_from.url("breaking/27/1000000/300")).raise_for_status()
    task = gold.ended(image)
    assert (task["status"], task["code"], "900 of 1000000" in task["message"]) == ("failure", "source-truncated", True)
    assert gold.show(image)["status"] == "queued"
    sound(running)


def test_a_source_that_changes_is_fetched_anew(running: Service, gold: User, fetched_from: Sources) -> None:
    """Not one byte of the old file is in the image; the import itself goes on."""
    image = gold.create()
    uri = fetched_from.url("changing/28/1000000/400000")
    start(gold, image, "web-download", uri=uri).raise_for_status()
    assert gold.ended(image)["status"] == "success"
    assert gold.file(image).content == content(29, 1_000_000)
    sound(running)
