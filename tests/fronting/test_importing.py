"""Imports in front of an image service: judged here, delivered there, and shown as they are."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path

import httpx
import pytest

from tests.cli.service import eventually
from tests.clients.site import User
from tests.fronting.site import Fronted
from tests.images import sound
from tests.images.hostile import backed_qcow2
from tests.images.made import converted
from tests.resumable.speaking import Tus
from tests.tools.sandboxed import needs_converter

QCOW2 = {"disk_format": "qcow2", "container_format": "bare"}
PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
MIB = 1 << 20


@pytest.fixture
def body() -> bytes:
    return sound.qcow2() + os.urandom(3 * MIB)


@pytest.fixture
def bad() -> bytes:
    return backed_qcow2() + os.urandom(MIB)


def change(user: User, image: str, **values: str) -> httpx.Response:
    changes = [{"op": "replace", "path": f"/{name}", "value": value} for name, value in values.items()]
    return user.http.patch(f"/v2/images/{image}", content=json.dumps(changes), headers=PATCH)


def start(user: User, image: str, *stores: str) -> httpx.Response:
    sent = {"method": {"name": "glance-direct"}, **({"stores": list(stores)} if stores else {})}
    return user.http.post(f"/v2/images/{image}/import", json=sent)


def test_an_upload_is_active_there_once_it_is_answered(site: Fronted, alice: User, alone: User, body: bytes) -> None:
    image = alice.create(**QCOW2)
    assert alice.save(image, body).status_code == 204
    shown = alone.show(image)
    assert (shown["status"], shown["size"], shown["stores"]) == ("active", len(body), "fast")
    assert shown["os_hash_value"] == hashlib.sha512(body).hexdigest()
    assert alice.file(image).content == body
    eventually(lambda: not site.staged.sizes())


def test_an_upload_goes_to_the_store_it_names(alice: User, alone: User, body: bytes) -> None:
    image = alice.create(**QCOW2)
    headers = {"Content-Type": "application/octet-stream", "X-Image-Meta-Store": "slow"}
    alice.http.put(f"/v2/images/{image}/file", content=body, headers=headers).raise_for_status()
    assert alone.show(image)["stores"] == "slow"
    headers["X-Image-Meta-Store"] = "staging"
    other = alice.http.put(f"/v2/images/{alice.create(**QCOW2)}/file", content=body, headers=headers)
    assert (other.status_code, "not known" in alice.error(other)["message"]) == (400, True)


@pytest.mark.parametrize("stores", [(), ("slow",), ("slow", "fast")])
def test_an_import_fills_the_stores_it_names(
    site: Fronted, alice: User, alone: User, body: bytes, stores: tuple[str, ...]
) -> None:
    image = alice.create(**QCOW2)
    assert alice.stage(image, body).status_code == 204
    assert (alice.show(image)["status"], alone.show(image)["status"]) == ("uploading", "queued")
    listed = {one["id"]: one["status"] for one in alice.http.get("/v2/images").json()["images"]}
    assert listed[image] == "uploading"
    assert start(alice, image, *stores).status_code == 202
    assert alice.reaches(image, "active")["os_hash_value"] == hashlib.sha512(body).hexdigest()
    assert set(alone.show(image)["stores"].split(",")) == set(stores or ("fast",))
    ended = alice.ended(image)
    assert ended["status"] == "success"
    assert alice.http.get(f"/v2/tasks/{ended['id']}").json()["status"] == "success"
    eventually(lambda: not site.staged.sizes())


def test_a_download_is_judged_and_delivered(site: Fronted, alice: User, alone: User, body: bytes) -> None:
    (site.web / "good.qcow2").write_bytes(body)
    image = alice.create(**QCOW2)
    assert alice.start(image, "web-download", uri=f"{site.source}/good.qcow2").status_code == 202
    alice.reaches(image, "active")
    assert alone.file(image).content == body
    with site.user("bob") as bob:
        refused = bob.start(bob.create(**QCOW2), "web-download", uri=f"{site.source}/good.qcow2")
        assert (refused.status_code, bob.error(refused)["rule"]) == (403, "fronting/uploads-only")


def test_refused_bytes_never_get_there(site: Fronted, alice: User, alone: User, bad: bytes, body: bytes) -> None:
    image = alice.create(**QCOW2)
    for way in (alice.stage, alice.save):
        refused = way(image, bad)
        assert (refused.status_code, alice.error(refused)["reason"]) == (415, "backing-file")
        assert (alice.show(image)["status"], alone.show(image)["status"]) == ("queued", "queued")
    (site.web / "bad.qcow2").write_bytes(bad)
    alice.start(image, "web-download", uri=f"{site.source}/bad.qcow2").raise_for_status()
    assert "backing file" in alice.ended(image)["message"]
    assert alone.show(image)["status"] == "queued"
    assert (shown := alice.show(image))["os_glance_failed_import"] == "fast"
    assert (shown["status"], shown["os_glance_importing_to_stores"]) == ("queued", "")
    assert not site.holds(bad[-MIB:])
    assert alice.save(image, body).status_code == 204
    assert site.holds(body[-MIB:])
    assert not alice.show(image).get("os_glance_failed_import")


def test_a_resumable_upload_is_delivered(alice: User, alone: User, body: bytes) -> None:
    image, tus = alice.create(**QCOW2), Tus(alice)
    upload = tus.begun(image, len(body))
    assert tus.append(upload, 0, body[:MIB]).status_code == 204
    assert alice.show(image)["status"] == "uploading"
    assert tus.append(upload, tus.offset(upload), body[MIB:]).status_code == 204
    start(alice, image, "slow").raise_for_status()
    alice.reaches(image, "active")
    assert (alone.file(image).content, alone.show(image)["stores"]) == (body, "slow")


def test_formats_are_not_changed_while_they_are_proven(alice: User, alone: User, body: bytes) -> None:
    image = alice.create(**QCOW2)
    alice.stage(image, body).raise_for_status()
    assert alice.error(change(alice, image, disk_format="raw"))["reason"] == "import-active"
    assert change(alice, image, name="other").json()["status"] == "uploading"
    assert alone.show(image)["name"] == "other"
    start(alice, image).raise_for_status()
    alice.reaches(image, "active")


def test_what_was_changed_behind_our_back_is_not_filled(alice: User, alone: User, body: bytes) -> None:
    image = alice.create(**QCOW2)
    alice.stage(image, body).raise_for_status()
    change(alone, image, disk_format="raw").raise_for_status()
    start(alice, image).raise_for_status()
    assert "disk_format" in alice.ended(image)["message"]
    assert alone.show(image)["status"] == "queued"


def test_deleting_an_image_ends_its_import(site: Fronted, alice: User, alone: User, body: bytes) -> None:
    image = alice.create(**QCOW2)
    alice.stage(image, body).raise_for_status()
    with site.line.troubled("stall", after=MIB, only=b"PUT"):
        start(alice, image).raise_for_status()
        eventually(lambda: site.line.met)
        assert alice.http.delete(f"/v2/images/{image}").status_code == 204
    assert alice.http.get(f"/v2/images/{image}").status_code == 404
    eventually(lambda: not site.staged.sizes())
    assert not site.holds(body[-MIB:])


def test_deleting_it_there_alone_ends_it_too(site: Fronted, alice: User, alone: User, body: bytes) -> None:
    image = alice.create(**QCOW2)
    alice.stage(image, body).raise_for_status()
    alone.http.delete(f"/v2/images/{image}").raise_for_status()
    eventually(lambda: not site.staged.sizes())
    assert start(alice, image).status_code == 404


def test_an_image_that_has_its_data_takes_no_other(alice: User, body: bytes) -> None:
    image = alice.create(**QCOW2)
    alice.save(image, body).raise_for_status()
    for again in (alice.stage(image, body), alice.save(image, body), start(alice, image)):
        assert (again.status_code, alice.error(again)["reason"]) == (409, "status-conflict")


def test_two_uploads_at_once_are_one(alice: User, alone: User) -> None:
    bodies = [sound.qcow2() + os.urandom(2 * MIB) for _ in range(2)]
    image, answers = alice.create(**QCOW2), []
    threads = [threading.Thread(target=lambda one=one: answers.append(alice.save(image, one))) for one in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) in ([204, 409], [204, 204])[:1]
    assert alone.file(image).content in bodies


@needs_converter
def test_a_conversion_changes_the_record_with_the_bytes(site: Fronted, tmp_path: Path) -> None:
    disk = converted(tmp_path, "qcow2", "").read_bytes()
    with site.user("carol") as carol, site.user("carol", alone=True) as alone:
        image = carol.create(**QCOW2)
        carol.stage(image, disk).raise_for_status()
        start(carol, image).raise_for_status()
        carol.ended(image, 60)
        shown = alone.show(image)
        assert (shown["status"], shown["disk_format"], shown["made_by"]) == ("active", "raw", "convert")


@needs_converter
def test_a_failed_delivery_changes_the_record_back(site: Fronted, tmp_path: Path) -> None:
    disk = converted(tmp_path, "qcow2", "").read_bytes()
    with site.user("carol") as carol, site.user("carol", alone=True) as alone:
        image = carol.create(**QCOW2)
        carol.stage(image, disk).raise_for_status()
        with site.line.troubled("error", only=b"PUT"):
            start(carol, image).raise_for_status()
            assert "502" in carol.ended(image, 60)["message"]
        shown = alone.show(image)
        assert (shown["status"], shown["disk_format"]) == ("queued", "qcow2")
        assert "made_by" not in shown


def test_an_import_waits_for_its_approval(site: Fronted, body: bytes) -> None:
    with site.user("dave") as dave, site.user("admin") as admin, site.user("dave", alone=True) as alone:
        image = dave.create(**QCOW2)
        dave.stage(image, body).raise_for_status()
        start(dave, image).raise_for_status()
        waiting = eventually(lambda: admin.http.get("/v2/info/import/approvals").json()["approvals"])
        assert alone.show(image)["status"] == "queued"
        assert dave.show(image)["os_glance_importing_to_stores"] == "fast"
        path = f"/v2/info/import/approvals/{waiting[0]['import_id']}"
        admin.http.post(path, json={"decision": "approve", "reason": "seen"}).raise_for_status()
        dave.reaches(image, "active")


def test_what_was_judged_has_a_receipt(site: Fronted, alice: User, body: bytes) -> None:
    image = alice.create(**QCOW2)
    alice.save(image, body).raise_for_status()
    receipt = eventually(lambda: _ok(alice.http.get(f"/v2/images/{image}/receipt")))
    assert receipt.json()["signatures"]
    with site.user("bob") as bob:
        assert bob.http.get(f"/v2/images/{image}/receipt").status_code == 404


def _ok(answer: httpx.Response) -> httpx.Response | None:
    return answer if answer.status_code == 200 else None


def test_copies_are_made_there_where_a_rule_grants_them(site: Fronted, body: bytes) -> None:
    with site.user("admin") as admin:
        image = admin.create(**QCOW2)
        admin.save(image, body).raise_for_status()
        asked = {"method": {"name": "copy-image"}, "stores": ["slow"]}
        admin.http.post(f"/v2/images/{image}/import", json=asked).raise_for_status()
        eventually(lambda: set(admin.show(image)["stores"].split(",")) == {"fast", "slow"})


@pytest.mark.parametrize("trouble", ["error", "reset", "refuse"])
def test_a_delivery_that_fails_ends_by_name_and_can_be_repeated(
    site: Fronted, alice: User, alone: User, body: bytes, trouble: str
) -> None:
    image = alice.create(**QCOW2)
    with site.line.troubled(trouble, after=2 * MIB, only=b"PUT"):
        refused = alice.save(image, body)
        assert refused.status_code == 503
        assert alice.error(refused)["reason"].startswith("upstream-")
        eventually(lambda: alone.show(image)["status"] == "queued")  # it has noticed, too, that nothing more comes
        alice.stage(image, body).raise_for_status()
        start(alice, image).raise_for_status()
        assert "image service behind the gateway" in alice.ended(image, 60)["message"]
    eventually(lambda: alone.show(image)["status"] == "queued")
    eventually(lambda: not site.staged.sizes())
    assert alice.save(image, body).status_code == 204
    assert alone.file(image).content == body
