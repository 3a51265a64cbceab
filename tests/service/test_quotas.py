"""What a project may have in all: held under many requests at once, told in words, given back when things end."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import jsonschema
import pytest

from gateway.shipped_files import shipped
from tests.cli.service import eventually, web
from tests.clients.site import User
from tests.faults.audit import Records as Audited
from tests.faults.audit import charged
from tests.faults.service import Service, service

MIB = 1 << 20
PART = b"\1" * MIB
QUOTAS = {"demo-gold": 4 * MIB, "demo-stranger": 2 * MIB}
RULES = (
    {"id": "everything", "allow": "all"},
    {"id": "bytes", "limit": "all", "for": {"projects": ["demo-gold"]}, "within": {"max_total_size": "4MiB"}},
    {"id": "tiny", "limit": "all", "for": {"projects": ["demo-stranger"]}, "within": {"max_total_size": "2MiB"}},
    {"id": "unpacked", "require": "all", "for": {"projects": ["demo-stranger"]}, "stages": ["decompress"]},
    {
        "id": "counts",
        "limit": "all",
        "for": {"projects": ["demo-silver"]},
        "within": {"max_images": 3, "max_active_imports": 2},
    },
)
STORES = [{"name": "local", "type": "filesystem", "default": True}, {"name": "other", "type": "filesystem"}]
TYPE = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("sources")
    for size in (1, 2, 5):
        (folder / f"{size}.raw").write_bytes(PART * size)
    with web(folder) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, sources: str) -> Iterator[Service]:
    fetch = {"allowed_networks": ["127.0.0.0/8"], "ports": [httpx.URL(sources).port]}
    settings = {"fetch": fetch, "stores": STORES, "imports": {"progress_interval": "50ms"}}
    with service(tmp_path_factory.mktemp("quotas"), settings, RULES) as made:
        yield made


@pytest.fixture(params=["gold"])
def user(running: Service, request: pytest.FixtureRequest) -> Iterator[User]:
    """A user whose project is empty again at the end, and whose ledger says so."""
    with running.user(request.param) as made:
        yield made
        empty(made)
        assert all(count["usage"] == 0 for count in usage(made).values())


def empty(user: User) -> None:
    for image in user.http.get("/v2/images").json()["images"]:
        user.http.delete(f"/v2/images/{image['id']}").raise_for_status()


def usage(user: User) -> dict[str, Any]:
    found: dict[str, Any] = user.http.get("/v2/info/usage").raise_for_status().json()["usage"]
    return found


def as_user(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("user", [name], indirect=True)


def at_once(call: Any, times: int = 16) -> list[httpx.Response]:
    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(call, range(times)))


def check_ledger(running: Service) -> None:
    """The auditor's I6, once the reaper has removed what failed."""
    eventually(lambda: not list(charged(Audited(running.place), QUOTAS)))


def in_parts(parts: int) -> Iterator[bytes]:
    for _ in range(parts):
        yield PART


@pytest.mark.parametrize("path", ["stage", "file"])
def test_of_sixteen_uploads_at_once_those_that_fit_are_let_in(running: Service, user: User, path: str) -> None:
    images = [user.create() for _ in range(16)]
    answers = at_once(lambda number: user.put(f"/v2/images/{images[number]}/{path}", PART))
    assert Counter(answer.status_code for answer in answers) == {204: 4, 413: 12}
    assert usage(user)["image_size_total"] == {"usage": 4, "limit": 4}
    assert usage(user)["image_stage_total"] == {"usage": 4 if path == "stage" else 0, "limit": 4}
    check_ledger(running)


def test_uploads_of_unknown_size_never_exceed_it_together(running: Service, user: User) -> None:
    images = [user.create() for _ in range(16)]
    answers = at_once(
        lambda number: user.http.put(f"/v2/images/{images[number]}/file", content=in_parts(1), headers=TYPE)
    )
    came = Counter(answer.status_code for answer in answers)
    assert came.keys() <= {204, 413}
    assert came[204] <= 4
    check_ledger(running)
    left = [image for image in images if user.show(image)["status"] == "queued"]
    for image in left[: 4 - came[204]]:
        assert user.http.put(f"/v2/images/{image}/file", content=in_parts(1), headers=TYPE).status_code == 204
    assert usage(user)["image_size_total"]["usage"] == 4
    assert user.http.put(f"/v2/images/{left[-1]}/file", content=in_parts(1), headers=TYPE).status_code == 413


def test_bytes_on_their_way_count(running: Service, user: User) -> None:
    first, second = user.create(), user.create()
    meanwhile = []

    def slowly() -> Iterator[bytes]:
        yield PART * 3
        eventually(lambda: usage(other)["image_stage_total"]["usage"] >= 3)
        meanwhile.append(other.save(second, PART * 2).status_code)
        yield PART

    with running.user() as other:
        answer = user.http.put(f"/v2/images/{first}/stage", content=slowly(), headers=TYPE)
    assert (meanwhile, answer.status_code) == ([413], 204)


def test_a_refusal_says_what_there_is_and_what_to_do(user: User) -> None:
    assert user.save(user.create(), PART * 3).status_code == 204
    image = user.create()
    said = user.error(user.save(image, PART * 2))
    assert said["reason"] == "over-quota"
    assert "at most 4MiB; it has 3MiB, and this needs 2MiB more" in said["message"]
    assert said["remedy"]
    assert user.show(image)["status"] == "queued"
    assert user.save(image, PART).status_code == 204


@pytest.mark.parametrize("announced", [True, False])
def test_what_fails_is_given_back(running: Service, user: User, announced: bool) -> None:
    image = user.create(disk_format="qcow2")
    size = {"x-openstack-image-size": str(3 * MIB)} if announced else {}
    answer = user.http.put(f"/v2/images/{image}/stage", content=in_parts(2), headers={**TYPE, **size})
    assert answer.status_code == (400 if announced else 204)
    user.http.delete(f"/v2/images/{image}").raise_for_status()
    assert usage(user)["image_size_total"]["usage"] == 0
    check_ledger(running)


@as_user("stranger")
def test_it_is_the_stored_bytes_that_count(running: Service, user: User) -> None:
    packed = gzip.compress(bytes(3 * MIB))
    image = user.create(disk_format="raw")
    answer = user.save(image, packed)
    assert (answer.status_code, user.error(answer)["reason"]) == (413, "over-quota")
    assert user.save(image, gzip.compress(bytes(2 * MIB))).status_code == 204
    assert usage(user)["image_size_total"] == {"usage": 2, "limit": 2}
    check_ledger(running)


@as_user("silver")
def test_of_sixteen_records_at_once_those_that_fit_are_made(user: User) -> None:
    answers = at_once(lambda _: user.http.post("/v2/images", json={}))
    assert Counter(answer.status_code for answer in answers) == {201: 3, 413: 13}
    refused = next(answer for answer in answers if answer.status_code == 413)
    assert "at most 3 images; it has 3 images, and this needs 1 image more" in user.error(refused)["message"]
    made = next(answer for answer in answers if answer.status_code == 201).json()["id"]
    user.http.delete(f"/v2/images/{made}").raise_for_status()
    assert user.http.post("/v2/images", json={}).status_code == 201
    assert usage(user)["image_count_total"] == {"usage": 3, "limit": 3}


@as_user("silver")
def test_staged_images_are_active_imports_until_they_are_imported(user: User) -> None:
    first, second, third = (user.create() for _ in range(3))
    answers = at_once(lambda number: user.stage([first, second, third][number], PART), 3)
    assert Counter(answer.status_code for answer in answers) == {204: 2, 413: 1}
    waiting = next(image for image in (first, second, third) if user.show(image)["status"] == "queued")
    assert user.save(waiting, PART).status_code == 413
    assert usage(user)["image_count_uploading"] == {"usage": 2, "limit": 2}
    assert usage(user)["image_size_total"] == {"usage": 2, "limit": -1}
    staged = next(image for image in (first, second, third) if image != waiting)
    assert user.start(staged).status_code == 202
    user.reaches(staged, "active")
    assert user.save(waiting, PART).status_code == 204


def test_a_source_that_does_not_fit_fails_by_name(running: Service, user: User, sources: str) -> None:
    image = user.create()
    assert user.start(image, "web-download", uri=f"{sources}/5.raw").status_code == 202
    task = user.ended(image)
    assert (task["status"], task["code"]) == ("failure", "over-quota")
    assert "at most 4MiB" in task["message"]
    assert user.show(image)["status"] == "queued"
    check_ledger(running)
    assert user.save(user.create(), PART * 4).status_code == 204
    refused = user.start(image, "web-download", uri=f"{sources}/1.raw")
    assert (refused.status_code, user.error(refused)["reason"]) == (413, "over-quota")


def test_sources_at_once_never_exceed_it_together(running: Service, user: User, sources: str) -> None:
    images = [user.create() for _ in range(6)]
    assert {user.start(image, "web-download", uri=f"{sources}/2.raw").status_code for image in images} <= {202, 413}
    eventually(lambda: not {user.show(image)["status"] for image in images} & {"importing"})
    assert [user.show(image)["status"] for image in images].count("active") <= 2
    check_ledger(running)


def test_every_store_counts(running: Service, user: User, sources: str) -> None:
    ask = {"method": {"name": "web-download", "uri": f"{sources}/2.raw"}, "all_stores": True}
    image = user.create()
    assert user.http.post(f"/v2/images/{image}/import", json=ask).status_code == 202
    user.reaches(image, "active")
    assert usage(user)["image_size_total"]["usage"] == 4
    user.http.delete(f"/v2/images/{image}").raise_for_status()
    staged = user.create()
    assert user.stage(staged, PART * 3).status_code == 204
    ask = {"method": {"name": "glance-direct"}, "all_stores": True}
    assert user.http.post(f"/v2/images/{staged}/import", json=ask).status_code == 202
    assert user.ended(staged)["code"] == "over-quota"


@as_user("silver")
def test_discovery_tells_the_quotas(user: User) -> None:
    found = user.http.get("/v2/info/import").raise_for_status().json()
    jsonschema.validate(found, json.loads((shipped("schemas") / "discovery.schema.json").read_text()))
    assert found["max_images"]["value"] == 3
    assert found["max_active_imports"]["value"] == 2
    assert "max_total_size" not in found
    offer = found["import-policy"]["value"]["methods"]["glance-direct"]
    assert offer["within"] == [{"max_images": 3, "max_active_imports": 2}]


def test_what_is_charged_survives_a_kill(running: Service) -> None:
    with running.user() as user:
        image = user.create()
        assert user.stage(image, PART * 3).status_code == 204
    running.restart()
    with running.user() as user:
        assert user.save(user.create(), PART * 2).status_code == 413
        assert user.start(image).status_code == 202
        user.reaches(image, "active")
        assert usage(user)["image_size_total"] == {"usage": 3, "limit": 4}
        empty(user)
    check_ledger(running)


def test_an_upload_that_is_killed_is_given_back(running: Service) -> None:
    with running.user() as user:
        image = user.create()

        def half() -> Iterator[bytes]:
            yield PART * 2
            eventually(lambda: usage(user)["image_stage_total"]["usage"] > 0)
            running.kill()
            yield PART

        with pytest.raises(httpx.TransportError):
            user.http.put(f"/v2/images/{image}/stage", content=half(), headers=TYPE)
    running.start()
    check_ledger(running)


def test_the_project_of_the_image_is_charged_whoever_sends_it(running: Service) -> None:
    with running.user("admin") as admin, running.user() as gold:
        before = usage(admin)["image_size_total"]["usage"]
        empty(gold)
        assert admin.save(gold.create(), PART).status_code == 204
        assert usage(gold)["image_size_total"]["usage"] == 1
        assert usage(admin)["image_size_total"]["usage"] == before
