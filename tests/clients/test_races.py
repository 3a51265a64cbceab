"""Requests that cross each other: one of them wins, the others are told, and nothing is left behind."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.cli.service import eventually
from tests.clients.gate import HALF, Gate
from tests.clients.site import Site, User

PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}


def at_once(call: Callable[[int], httpx.Response], times: int = 16) -> list[httpx.Response]:
    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(call, range(times)))


def fetching(user: User, gate: Gate, **values: str) -> str:
    """An image whose import hangs half way through its source."""
    image = user.create(**values)
    assert user.start(image, "web-download", uri=gate.url).status_code == 202
    eventually(lambda: user.task(image)["progress"]["bytes"] > 0)
    return image


def test_sixteen_imports_of_one_staged_image(gold: User, disk: Path) -> None:
    image = gold.create()
    assert gold.stage(image, disk.read_bytes()).status_code == 204
    answers = at_once(lambda _: gold.start(image))
    assert Counter(answer.status_code for answer in answers) == {202: 1, 409: 15}
    gold.reaches(image, "active")
    assert len(gold.http.get(f"/v2/images/{image}/tasks").json()["tasks"]) == 1


def test_sixteen_imports_from_one_source(gold: User, gate: Gate) -> None:
    image = gold.create()
    answers = at_once(lambda _: gold.start(image, "web-download", uri=gate.url))
    assert Counter(answer.status_code for answer in answers) == {202: 1, 409: 15}
    gate.open()
    assert gold.reaches(image, "active")["size"] == 2 * len(HALF)


def test_sixteen_uploads_of_one_image(gold: User, disk: Path) -> None:
    image = gold.create()
    answers = at_once(lambda _: gold.save(image, disk.read_bytes()))
    assert Counter(answer.status_code for answer in answers) == {204: 1, 409: 15}
    assert gold.file(image).content == disk.read_bytes()


def test_sixteen_records_with_one_id(gold: User) -> None:
    wanted = str(uuid.uuid4())
    answers = at_once(lambda _: gold.http.post("/v2/images", json={"id": wanted}))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 15}


def test_progress_is_told_while_an_image_is_fetched(gold: User, gate: Gate) -> None:
    image = fetching(gold, gate)
    eventually(lambda: gold.task(image)["progress"]["percent"] == 50)
    found = gold.show(image)
    assert found["status"] == "importing"
    assert found["os_glance_import_task"] == gold.task(image)["id"]
    assert gold.file(image).status_code == 204
    gate.open()
    assert "os_glance_import_task" not in gold.reaches(image, "active")
    assert gold.task(image)["progress"] == {"bytes": 2 * len(HALF), "total": 2 * len(HALF), "percent": 100}


def test_bytes_sent_while_an_image_is_fetched(gold: User, gate: Gate) -> None:
    image = fetching(gold, gate)
    for answer in (gold.save(image, b"x" * 1000), gold.stage(image, b"x" * 1000), gold.start(image)):
        assert answer.status_code == 409
        gold.error(answer)
    gate.open()
    assert gold.file(gold.reaches(image, "active")["id"]).content == HALF * 2


def test_changes_while_an_image_is_fetched(gold: User, gate: Gate) -> None:
    image = fetching(gold, gate)
    renamed = [{"op": "replace", "path": "/name", "value": "renamed"}]
    assert gold.http.patch(f"/v2/images/{image}", json=renamed, headers=PATCH).status_code == 200
    other = [{"op": "replace", "path": "/disk_format", "value": "qcow2"}]
    assert gold.http.patch(f"/v2/images/{image}", json=other, headers=PATCH).status_code == 403
    gate.open()
    found = gold.reaches(image, "active")
    assert (found["name"], found["disk_format"]) == ("renamed", "raw")


def test_sixteen_changes_of_one_record(gold: User) -> None:
    image = gold.create()

    def add(number: int) -> httpx.Response:
        change = [{"op": "add", "path": f"/p{number}", "value": str(number)}]
        return gold.http.patch(f"/v2/images/{image}", json=change, headers=PATCH)

    assert {answer.status_code for answer in at_once(add)} == {200}
    found = gold.show(image)
    assert {key: found[f"p{key}"] for key in range(16)} == {key: str(key) for key in range(16)}


def test_deleted_while_it_is_fetched(site: Site, gold: User, gate: Gate) -> None:
    before = site.blobs()
    image = fetching(gold, gate)
    task = gold.task(image)["id"]
    assert gold.http.delete(f"/v2/images/{image}").status_code == 204
    gate.open()
    check_gone(site, gold, image, before)
    ended = gold.http.get(f"/v2/tasks/{task}").json()
    assert (ended["status"], ended["code"]) == ("failure", "cancelled")
    assert ended["message"]


@pytest.mark.parametrize("path", ["stage", "file"])
def test_deleted_while_it_is_uploaded(site: Site, gold: User, path: str) -> None:
    before = site.blobs()
    image = gold.create()
    deleted = []

    def blocks() -> Iterator[bytes]:
        yield b"x" * 1_500_000
        gold.reaches(image, {"stage": "uploading", "file": "saving"}[path])
        deleted.append(other.delete(f"/v2/images/{image}").status_code)
        yield b"x" * 1_500_000

    other = site.user().http
    with other:
        kind = {"Content-Type": "application/octet-stream"}
        answer = other.put(f"/v2/images/{image}/{path}", content=blocks(), headers=kind)
    assert deleted == [204]
    assert answer.status_code in (404, 409, 410)
    gold.error(answer)
    check_gone(site, gold, image, before)


def test_deleted_once_it_is_staged(site: Site, gold: User, disk: Path) -> None:
    before = site.blobs()
    image = gold.create()
    assert gold.stage(image, disk.read_bytes()).status_code == 204
    assert gold.http.delete(f"/v2/images/{image}").status_code == 204
    check_gone(site, gold, image, before)


def test_deleted_sixteen_times(site: Site, gold: User, disk: Path) -> None:
    before = site.blobs()
    image = gold.create()
    assert gold.save(image, disk.read_bytes()).status_code == 204
    answers = at_once(lambda _: gold.http.delete(f"/v2/images/{image}"))
    assert Counter(answer.status_code for answer in answers) == {204: 1, 404: 15}
    check_gone(site, gold, image, before)


def check_gone(site: Site, user: User, image: str, before: set[str]) -> None:
    """No record, no bytes, and its id is never used again."""
    assert user.http.get(f"/v2/images/{image}").status_code == 404
    assert user.file(image).status_code == 404
    eventually(lambda: not site.blobs() - before)
    again = user.http.post("/v2/images", json={"id": image})
    assert again.status_code == 409
    user.error(again)
