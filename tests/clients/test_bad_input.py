"""What clients get wrong gets a clear answer, and loses nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.service import eventually
from tests.clients.site import Site, User

OCTETS = {"Content-Type": "application/octet-stream"}
PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
JSON = {"Content-Type": "application/json"}
DIRECT = b'{"method": {"name": "glance-direct"}}'

BAD_RECORDS = {
    "no body": (b"", JSON, 400),
    "half a body": (b'{"name": ', JSON, 400),
    "not UTF-8": (b'{"name": "\xff"}', JSON, 400),
    "a list": (b"[]", JSON, 400),
    "a number": (b"7", JSON, 400),
    "a name that is a number": (b'{"name": 7}', JSON, 400),
    "a format nobody knows": (b'{"disk_format": "floppy"}', JSON, 400),
    "less than no disk": (b'{"min_disk": -1}', JSON, 400),
    "an id that is none": (b'{"id": "../../etc/passwd"}', JSON, 400),
    "a property that is a list": (b'{"note": ["a"]}', JSON, 400),
    "a NUL": (b'{"name": "a\\u0000b"}', JSON, 400),
    "half a surrogate pair": (b'{"name": "\\ud800"}', JSON, 400),
    "the same key twice": (b'{"name": "a", "name": "b"}', JSON, 400),
    "a deep nest": (b'{"name": ' + b"[" * 5000 + b"]" * 5000 + b"}", JSON, 400),
    "a long number": (b'{"min_disk": ' + b"9" * 5000 + b"}", JSON, 400),
    "a read-only field": (b'{"status": "active"}', JSON, 403),
    "a reserved field": (b'{"os_glance_import_task": "x"}', JSON, 403),
    "somebody else's": (b'{"owner": "demo-admin"}', JSON, 403),
    "over the cap": (b'{"name": "' + b"a" * 70_000 + b'"}', JSON, 413),
    "a form": (b"name=x", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
}

# Good but for one thing each; SOURCE is an address that may be fetched.
BAD_IMPORTS = {
    "no body": (b"", 400),
    "half a body": (b'{"method"', 400),
    "a list": (b"[]", 400),
    "no method": (b"{}", 400),
    "a method that is text": (b'{"method": "glance-direct"}', 400),
    "a method that is a list": (b'{"method": ["glance-direct"]}', 400),
    "a method that is null": (b'{"method": null}', 400),
    "a method without a name": (b'{"method": {}}', 400),
    "a name that is a number": (b'{"method": {"name": 7}}', 400),
    "a name nobody knows": (b'{"method": {"name": "zork"}}', 400),
    "a method the site has not": (b'{"method": {"name": "copy-image"}}', 400),
    "no stores": (b'{"method": {"name": "web-download", "uri": "SOURCE"}, "stores": []}', 400),
    "stores that are text": (b'{"method": {"name": "glance-direct"}, "stores": "local"}', 400),
    "stores that are numbers": (b'{"method": {"name": "glance-direct"}, "stores": [1]}', 400),
    "a flag that is text": (b'{"method": {"name": "glance-direct"}, "all_stores": "yes"}', 400),
    "a store nobody knows": (
        b'{"method": {"name": "web-download", "uri": "SOURCE"}, "stores": ["attic"]}',
        409,
    ),
    "no address": (b'{"method": {"name": "web-download"}}', 400),
    "an address that is a number": (b'{"method": {"name": "web-download", "uri": 7}}', 400),
    "an address of a file": (b'{"method": {"name": "web-download", "uri": "file:///etc/passwd"}}', 400),
    "an address without a host": (b'{"method": {"name": "web-download", "uri": "http:///x"}}', 400),
    "an address with a login": (b'{"method": {"name": "web-download", "uri": "http://u:p@a.example/"}}', 400),
    "nothing staged": (DIRECT, 409),
}

BAD_PATCHES = {
    "no list": (b"{}", PATCH, 400),
    "an operation that is text": (b'["replace"]', PATCH, 400),
    "no value": (b'[{"op": "replace", "path": "/name"}]', PATCH, 400),
    "a status": (b'[{"op": "replace", "path": "/status", "value": "active"}]', PATCH, 403),
    "an id": (b'[{"op": "replace", "path": "/id", "value": "x"}]', PATCH, 403),
    "a property that is not there": (b'[{"op": "remove", "path": "/zork"}]', PATCH, 409),
    "plain JSON": (b"[]", JSON, 415),
}


@pytest.mark.parametrize("case", BAD_RECORDS)
def test_no_record_comes_of_a_bad_body(gold: User, case: str) -> None:
    body, headers, status = BAD_RECORDS[case]
    before = gold.http.get("/v2/images?limit=1").json()["images"]
    answer = gold.http.post("/v2/images", content=body, headers=headers)
    assert answer.status_code == status
    gold.error(answer)
    assert gold.http.get("/v2/images?limit=1").json()["images"] == before


@pytest.fixture(scope="module")
def record(site: Site) -> Iterator[tuple[User, str]]:
    """One queued record for all the requests that must not change it."""
    user = site.user()
    with user.http:
        yield user, user.create(name="unmoved")


@pytest.mark.parametrize("case", BAD_IMPORTS)
def test_a_bad_import_request_leaves_the_record_as_it_was(site: Site, record: tuple[User, str], case: str) -> None:
    gold, image = record
    body, status = BAD_IMPORTS[case]
    body = body.replace(b"SOURCE", f"{site.sources}/disk.raw".encode())
    before = gold.show(image)
    answer = gold.http.post(f"/v2/images/{image}/import", content=body, headers=JSON)
    assert answer.status_code == status, answer.text
    assert gold.error(answer)["message"]
    assert "u:p" not in answer.text
    assert gold.show(image) == before
    assert gold.http.get(f"/v2/images/{image}/tasks").json() == {"tasks": []}


@pytest.mark.parametrize("case", BAD_PATCHES)
def test_a_bad_patch_leaves_the_record_as_it_was(record: tuple[User, str], case: str) -> None:
    gold, image = record
    body, headers, status = BAD_PATCHES[case]
    before = gold.show(image)
    answer = gold.http.patch(f"/v2/images/{image}", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    gold.error(answer)
    assert gold.show(image) == before


@pytest.mark.parametrize("path", ["stage", "file"])
@pytest.mark.parametrize("headers", [JSON, {}, {**OCTETS, "x-openstack-image-size": "many"}])
def test_bytes_without_their_type_or_size_are_not_taken(
    record: tuple[User, str], path: str, headers: dict[str, str]
) -> None:
    gold, image = record
    answer = gold.http.put(f"/v2/images/{image}/{path}", content=b"x" * 100, headers=headers)
    assert answer.status_code == (400 if "x-openstack-image-size" in headers else 415)
    gold.error(answer)
    assert gold.show(image)["status"] == "queued"


@pytest.mark.parametrize("name", ["6b1f2a34-9c55-4f0e-8a73-2f1f9b6c0d11", "zork", "..%2F..%2Fetc", "%00"])
def test_an_image_nobody_has(gold: User, name: str) -> None:
    answers = [
        gold.http.get(f"/v2/images/{name}"),
        gold.http.delete(f"/v2/images/{name}"),
        gold.http.get(f"/v2/images/{name}/file"),
        gold.http.get(f"/v2/images/{name}/tasks"),
        gold.http.patch(f"/v2/images/{name}", content=b"[]", headers=PATCH),
        gold.http.post(f"/v2/images/{name}/import", content=DIRECT, headers=JSON),
        gold.put(f"/v2/images/{name}/stage", b"x"),
        gold.put(f"/v2/images/{name}/file", b"x"),
    ]
    for answer in answers:
        assert answer.status_code == (400 if "%" in name else 404), answer.request
        gold.error(answer)


def test_somebody_elses_image_does_not_exist(site: Site, gold: User) -> None:
    image = gold.create(name="mine")
    other = site.user("silver")
    with other.http:
        for answer in (
            other.http.get(f"/v2/images/{image}"),
            other.http.delete(f"/v2/images/{image}"),
            other.file(image),
            other.start(image, "web-download", uri="https://a.example/x"),
            other.save(image, b"x"),
        ):
            assert answer.status_code == 404
    assert gold.show(image)["status"] == "queued"


@pytest.mark.parametrize("path", ["stage", "file"])
@pytest.mark.parametrize("framing", [{"Content-Length": "5000000"}, {"Transfer-Encoding": "chunked"}])
def test_a_broken_upload_leaves_nothing_and_can_be_sent_again(
    site: Site, gold: User, disk: Path, path: str, framing: dict[str, str]
) -> None:
    image = gold.create(name="broken")
    before = site.blobs()
    half_an_upload(gold, f"/v2/images/{image}/{path}", framing)
    gold.reaches(image, "queued")
    eventually(lambda: not site.blobs() - before)
    assert gold.put(f"/v2/images/{image}/{path}", disk.read_bytes()).status_code == 204
    if path == "stage":
        assert gold.start(image).status_code == 202
    assert gold.reaches(image, "active")["size"] == disk.stat().st_size


def half_an_upload(user: User, path: str, framing: dict[str, str]) -> None:
    """Three MB on the way and the reception begun, then the connection ends."""
    request = user.http.build_request("PUT", path, headers={**OCTETS, **framing})
    login = next(httpx.BasicAuth("gold", "demo").auth_flow(request))
    head = "".join(f"{name}: {value}\r\n" for name, value in login.headers.items())
    part = b"a" * 1_000_000
    sent = b"%x\r\n%b\r\n" % (len(part), part) if "Transfer-Encoding" in framing else part
    status = "uploading" if path.endswith("stage") else "saving"
    with socket.create_connection((request.url.host, request.url.port or 80)) as connection:
        connection.sendall(f"PUT {path} HTTP/1.1\r\n{head}\r\n".encode() + sent * 3)
        user.reaches(path.split("/")[3], status)


def test_more_bytes_than_the_limit_are_not_taken(gold: User) -> None:
    image = gold.create(name="large")
    answer = gold.http.put(f"/v2/images/{image}/stage", content=(b"\1" * (1 << 20) for _ in range(80)), headers=OCTETS)
    assert answer.status_code == 413, answer.text
    assert gold.error(answer)["message"]
    assert gold.show(image)["status"] == "queued"
    announced = gold.http.put(
        f"/v2/images/{image}/stage", content=b"x", headers={**OCTETS, "x-openstack-image-size": str(65 << 20)}
    )
    assert announced.status_code in (403, 413)
    assert gold.show(image)["status"] == "queued"


def test_staged_before_its_formats_are_named(gold: User, disk: Path) -> None:
    image = gold.http.post("/v2/images", json={"name": "later"}).raise_for_status().json()["id"]
    refused = gold.save(image, disk.read_bytes())
    assert refused.status_code == 400
    assert "disk_format" in gold.error(refused)["message"]
    assert gold.stage(image, disk.read_bytes()).status_code == 204
    early = gold.start(image)
    assert early.status_code == 409
    assert "PATCH" in early.text
    changes = [{"op": "replace", "path": f"/{name}", "value": value} for name, value in named("raw").items()]
    assert gold.http.patch(f"/v2/images/{image}", json=changes, headers=PATCH).status_code == 200
    assert gold.start(image).status_code == 202
    assert gold.reaches(image, "active")["size"] == disk.stat().st_size


def named(disk_format: str) -> dict[str, Any]:
    return {"disk_format": disk_format, "container_format": "bare"}


@pytest.mark.parametrize("path", ["stage", "file"])
def test_rejected_bytes_can_never_be_read(site: Site, gold: User, disk: Path, path: str) -> None:
    before = site.blobs()
    image = gold.create(name="rejected", disk_format="qcow2")
    answer = gold.put(f"/v2/images/{image}/{path}", disk.read_bytes())
    assert answer.status_code == 415
    assert "qcow2" in gold.error(answer)["message"]
    found = gold.show(image)
    assert (found["status"], found["size"], found["checksum"], found["os_hash_value"]) == ("queued", None, None, None)
    assert "stores" not in found
    read = gold.file(image)
    assert (read.status_code, read.content) == (204, b"")
    eventually(lambda: not site.blobs() - before)


def test_staged_bytes_can_not_be_read(gold: User, disk: Path) -> None:
    image = gold.create(name="staged only")
    assert gold.stage(image, disk.read_bytes()).status_code == 204
    read = gold.file(image)
    assert (read.status_code, read.content) == (204, b"")


RANGES = {
    "bytes=0-0": (0, 1),
    "bytes=5-9": (5, 10),
    "bytes=-7": (-7, None),
    "bytes=1048570-1048600": (1048570, 1048601),
}


@pytest.fixture(scope="module")
def stored(site: Site, disk: Path) -> Iterator[tuple[User, str]]:
    user = site.user()
    with user.http:
        image = user.create(name="ranges")
        assert user.save(image, disk.read_bytes()).status_code == 204
        yield user, image


@pytest.mark.parametrize("wanted", RANGES)
def test_a_part_of_an_image(stored: tuple[User, str], disk: Path, wanted: str) -> None:
    gold, image = stored
    part = disk.read_bytes()[slice(*RANGES[wanted])]
    answer = gold.file(image, Range=wanted)
    assert (answer.status_code, answer.content) == (206, part)
    assert answer.headers["content-length"] == str(len(part))
    assert answer.headers["content-range"].endswith(f"/{disk.stat().st_size}")


@pytest.mark.parametrize(("wanted", "status"), [("bytes=0-1,5-6", 400), ("bytes=99999999-", 416), ("bytes=9-5", 416)])
def test_a_part_that_is_none(stored: tuple[User, str], wanted: str, status: int) -> None:
    gold, image = stored
    answer = gold.file(image, Range=wanted)
    assert answer.status_code == status
    gold.error(answer)
