"""An image from one gateway to another: the second one is the other's region."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.cli.service import eventually
from tests.clients.site import PASSWORD, User
from tests.faults.audit import audit
from tests.faults.service import Service, service
from tests.faults.sources import content
from tests.images.sound import qcow2
from tests.methods.conftest import Source
from tests.methods.test_glance_download import BYTES, RECORD, cloud
from tests.served import served
from tests.serving.rows import rows

PROPERTIES = {"hw_cpu_cores": "5", "trait:STORAGE_DISK_SSD": "required", "os_distro": "debian", "speed": "88mph"}
RULES = (
    {"id": "everything", "allow": "all"},
    {"id": "real-images", "require": "all", "stages": ["inspect"]},
    {"id": "near", "limit": "all", "for": {"projects": ["demo-silver"]}, "within": {"regions": ["Elsewhere"]}},
    {"id": "raw", "limit": "all", "for": {"projects": ["demo-stranger"]}, "within": {"disk_formats": ["raw"]}},
)


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    """A user of another cloud, where everybody is trusted."""
    home = tmp_path_factory.mktemp("far")
    with served(home, "--data", str(home / "data")) as url, httpx.Client(base_url=url, trust_env=False) as http:
        yield User(http)


@pytest.fixture(scope="module")
def heard() -> Iterator[Source]:
    """A cloud that keeps the heads of the requests it gets."""
    made: list[Source] = []
    cloud(lambda speak: made.append(Source(speak, "127.0.0.1", None)))
    yield made[0]
    made[0].close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, far: User, heard: Source) -> Iterator[Service]:
    regions = {
        "Far": {"endpoint": str(far.http.base_url)},
        "Heard": {"endpoint": f"http://127.0.0.1:{heard.port}/v2"},
        "Away": {"endpoint": "http://127.0.0.1:9"},
    }
    settings = {"regions": regions, "fetch": {"dns_timeout": "100ms", "connect_timeout": "100ms"}}
    with service(tmp_path_factory.mktemp("near"), {**settings, "imports": {"retries": 0}}, RULES) as made:
        yield made


@pytest.fixture
def gold(running: Service) -> Iterator[User]:
    with running.user() as made:
        yield made


@pytest.fixture(scope="module")
def source(far: User) -> str:
    image = far.create(disk_format="qcow2", **PROPERTIES)
    far.save(image, qcow2()).raise_for_status()
    return image


def download(user: User, image: str, source: str, region: str = "Far", **more: Any) -> httpx.Response:
    return user.start(image, "glance-download", glance_region=region, glance_image_id=source, **more)


def sealed(running: Service) -> list[bytes]:
    return [
        row["sealed"] for row in rows(running.place.database, "SELECT sealed FROM imports WHERE sealed IS NOT NULL")
    ]


def test_an_image_comes_with_its_formats_and_what_it_needs_to_run(
    running: Service, gold: User, far: User, source: str
) -> None:
    image = gold.create(disk_format="iso", container_format="ovf", hw_cpu_cores="1", own="kept")
    assert download(gold, image, source).status_code == 202
    found, original = gold.reaches(image, "active"), far.show(source)
    for key in ("disk_format", "container_format", "size", "checksum", "os_hash_value", "hw_cpu_cores", "os_distro"):
        assert found[key] == original[key]
    assert (found["trait:STORAGE_DISK_SSD"], found["own"]) == ("required", "kept")
    assert "speed" not in found
    assert gold.file(image).content == qcow2()
    assert sealed(running) == []
    assert audit(running.place) == []


def test_two_gateways_give_out_the_same_bytes(gold: User, far: User) -> None:
    """Larger than any one block, compared by what either process sends and by what it says of it."""
    body = content(17, 5_000_001)
    source, image = far.create(), gold.create()
    far.save(source, body).raise_for_status()
    assert gold.http.base_url != far.http.base_url
    assert download(gold, image, source).status_code == 202
    gold.reaches(image, "active")
    digests = {hashlib.sha512(user.file(one).content).hexdigest() for user, one in ((far, source), (gold, image))}
    digests |= {far.show(source)["os_hash_value"], gold.show(image)["os_hash_value"]}
    assert digests == {hashlib.sha512(body).hexdigest()}


def test_it_is_shown_as_it_was_asked_for(gold: User, source: str) -> None:
    image = gold.create()
    assert download(gold, image, source, glance_service_interface="internal").status_code == 202
    asked = gold.ended(image)["input"]["import_req"]["method"]
    assert asked == {
        "name": "glance-download", "glance_region": "Far", "glance_image_id": source,
        "glance_service_interface": "internal",
    }  # fmt: skip


def test_the_callers_token_goes_along_and_is_kept_nowhere(running: Service, gold: User, heard: Source) -> None:
    image = gold.create()
    asked = {"name": "glance-download", "glance_region": "Heard", "glance_image_id": RECORD["id"]}
    headers = {"X-Auth-Token": "s3cret-t0ken"}
    answer = gold.http.post(f"/v2/images/{image}/import", json={"method": asked}, headers=headers)
    assert answer.status_code == 202
    gold.reaches(image, "active")
    assert gold.file(image).content == BYTES
    assert [head.split()[1].removeprefix(f"/v2/images/{RECORD['id']}") for head in heard.heads] == ["", "/file"]
    assert all("X-Auth-Token: s3cret-t0ken\r\n" in head for head in heard.heads)
    assert PASSWORD not in "".join(heard.heads)
    kept = [path for path in running.home.rglob("*") if path.is_file() and b"s3cret-t0ken" in path.read_bytes()]
    assert kept == []
    assert sealed(running) == []


@pytest.mark.parametrize(
    ("region", "interface", "code"),
    [
        ("not a region", "not an interface", "unknown-region"),
        ("Far", "public", "source-failed"),
        ("Away", "public", "source-unreachable"),
    ],
)
def test_what_cannot_be_had_fails_by_name_and_leaves_the_record_alone(
    running: Service, gold: User, region: str, interface: str, code: str
) -> None:
    image = gold.create(hw_cpu_cores="1", os_distro="windows", disk_format="iso")
    answer = download(gold, image, str(uuid.uuid4()), region, glance_service_interface=interface)
    assert answer.status_code == 202
    task = gold.ended(image)
    assert (task["status"], task["code"]) == ("failure", code)
    assert task["remedy"]
    found = gold.show(image)
    assert (found["status"], found["hw_cpu_cores"], found["os_distro"]) == ("queued", "1", "windows")
    assert found["disk_format"] == "iso"
    assert sealed(running) == []


def test_other_bytes_than_the_record_says_are_refused(running: Service) -> None:
    def lie(connection: Any, line: str) -> None:
        body = BYTES[::-1] if line.split()[1].endswith("/file") else json.dumps(RECORD).encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    liar = Source(lie, "127.0.0.1", None)
    try:
        regions = {"Liar": {"endpoint": f"http://127.0.0.1:{liar.port}"}}
        home = running.home / "lied"
        home.mkdir()
        with service(home, {"regions": regions}, RULES) as other, other.user() as user:
            image = user.create()
            assert download(user, image, RECORD["id"], "Liar").status_code == 202
            assert user.ended(image)["code"] == "checksum-mismatch"
            eventually(lambda: not other.files())
    finally:
        liar.close()


def test_the_policy_judges_the_region_and_the_sources_own_format(running: Service, source: str) -> None:
    with running.user("silver") as silver:
        refused = download(silver, silver.create(), source)
        assert (refused.status_code, silver.error(refused)["reason"]) == (403, "over-limit")
        assert "Far" in silver.error(refused)["message"]
    with running.user("stranger") as stranger:
        image = stranger.create(disk_format="raw")
        assert download(stranger, image, source).status_code == 202
        task = stranger.ended(image)
        assert (task["status"], task["code"]) == ("failure", "over-limit")
        assert "qcow2" in task["message"]


def test_it_is_offered_with_regions_alone(gold: User, far: User) -> None:
    assert "glance-download" in gold.http.get("/v2/info/import").json()["import-methods"]["value"]
    assert "glance-download" not in far.http.get("/v2/info/import").json()["import-methods"]["value"]
    refused = download(far, far.create(), str(uuid.uuid4()))
    assert (refused.status_code, far.error(refused)["reason"]) == (400, "method-unavailable")


def test_it_goes_on_after_a_kill(running: Service, source: str) -> None:
    with running.user() as user:
        image = user.create()
        assert download(user, image, source).status_code == 202
    running.restart()
    with running.user() as user:
        assert user.reaches(image, "active")["disk_format"] == "qcow2"
        assert user.file(image).content == qcow2()
    assert audit(running.place) == []
