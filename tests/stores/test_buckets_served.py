"""The whole service over stores in a bucket: what users do, and what is left there when they are done."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha512
from pathlib import Path
from typing import Any

import pytest

from tests.cli.service import eventually, web
from tests.clients.site import User
from tests.faults.service import Service, service
from tests.images.made import converted
from tests.serving import servers
from tests.stores.servers.bucket import Auditor, Server, auditor, fresh
from tests.tools.sandboxed import needs_converter

MIB = 1 << 20
RULES: Sequence[Mapping[str, Any]] = (
    {"id": "everything", "allow": "all"},
    {"id": "real-images", "require": "all", "stages": ["inspect"]},
    {"id": "raw", "require": ["glance-direct"], "for": {"projects": ["demo-silver"]}, "stages": [
        {"inspect": {"second_opinion": "qemu-img"}}, {"convert": {"target": "raw"}}
    ]},
    {"id": "size", "limit": "all", "within": {"max_size": "64MiB"}},
)  # fmt: skip
LARGE = os.urandom(11 * MIB + 512)


@pytest.fixture(scope="module")
def bucket() -> Iterator[Server]:
    with fresh(servers.server(servers.S3)) as made:
        yield made


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    folder = tmp_path_factory.mktemp("web")
    with web(folder) as port:
        yield folder, port


@pytest.fixture(scope="module")
def site(bucket: Server, sources: tuple[Path, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("site")
    (home / "bucket.secret").write_text(bucket.secret_key)
    there = {"type": "s3", "bucket": bucket.bucket, "endpoint": bucket.endpoint, "region": bucket.region}
    store = {**there, "credentials": "bucket", "part_size": "5MiB"}
    settings = {
        "stores": [
            {"name": "fast", "prefix": "fast", "default": True, **store},
            {"name": "slow", "prefix": "slow", **store},
        ],
        "credentials": {"bucket": {"type": "s3", "access_key": bucket.access_key, "secret_file": "bucket.secret"}},
        "fetch": {"allowed_networks": ["127.0.0.0/8"], "ports": [sources[1]]},
        "imports": {"retries": 0, "progress_interval": "50ms", "reaper_interval": "1s"},
    }
    with service(home, settings, RULES) as started:
        yield started


@pytest.fixture
def user(site: Service) -> Iterator[User]:
    with site.user() as found:
        yield found


@pytest.fixture
def witness(bucket: Server) -> Auditor:
    return auditor(bucket)


def nothing_is_left(user: User, images: Sequence[str], witness: Auditor) -> None:
    for image in images:
        user.http.delete(f"/v2/images/{image}").raise_for_status()
    eventually(lambda: not witness.left())


def imported(user: User, content: bytes, **record: Any) -> tuple[str, dict[str, Any]]:
    image = user.create(**record)
    user.stage(image, content).raise_for_status()
    user.start(image).raise_for_status()
    return image, user.ended(image)


def web_download(user: User, sources: tuple[Path, int]) -> str:
    (sources[0] / "image.raw").write_bytes(LARGE)
    image = user.create()
    user.start(image, "web-download", uri=f"http://127.0.0.1:{sources[1]}/image.raw").raise_for_status()
    assert user.ended(image)["status"] == "success"
    return image


def saved(user: User, _: object) -> str:
    image = user.create()
    user.save(image, LARGE).raise_for_status()
    return image


def glance_direct(user: User, _: object) -> str:
    image, task = imported(user, LARGE)
    assert task["status"] == "success", task["message"]
    return image


@pytest.mark.parametrize("method", [glance_direct, saved, web_download])
def test_an_image_goes_into_a_bucket_and_out_of_it(
    user: User, sources: tuple[Path, int], witness: Auditor, method: Callable[[User, Any], str]
) -> None:
    image = method(user, sources)
    shown = user.show(image)
    assert (shown["status"], shown["size"]) == ("active", len(LARGE))
    assert shown["os_hash_value"] == sha512(LARGE).hexdigest()
    assert user.file(image).content == LARGE
    part = user.file(image, Range=f"bytes=3-{6 * MIB}")
    assert (part.status_code, part.content) == (206, LARGE[3 : 6 * MIB + 1])
    assert user.file(image, Range="bytes=-5").content == LARGE[-5:]
    assert len(witness.objects()) == 1
    nothing_is_left(user, [image], witness)


def test_a_copy_goes_from_one_place_of_the_bucket_to_another(user: User, witness: Auditor) -> None:
    image = saved(user, None)
    user.http.post(
        f"/v2/images/{image}/import", json={"method": {"name": "copy-image"}, "stores": ["slow"]}
    ).raise_for_status()
    assert user.ended(image)["status"] == "success"
    assert sorted(user.show(image)["stores"].split(",")) == ["fast", "slow"]
    assert {key.partition("/")[0] for key in witness.objects()} == {"fast", "slow"}
    assert user.http.get(f"/v2/images/{image}/file", params={"prefer": "slow"}).content == LARGE
    nothing_is_left(user, [image], witness)


def test_bytes_that_changed_at_rest_are_not_copied(user: User, witness: Auditor) -> None:
    image = saved(user, None)
    (held,) = witness.objects()
    witness.write(held, LARGE[:-1] + bytes([LARGE[-1] ^ 1]))
    user.http.post(
        f"/v2/images/{image}/import", json={"method": {"name": "copy-image"}, "stores": ["slow"]}
    ).raise_for_status()
    task = user.ended(image)
    assert task["status"] == "failure"
    eventually(lambda: witness.left() == [held])
    nothing_is_left(user, [image], witness)


def test_a_refused_image_leaves_nothing_in_the_bucket(user: User, witness: Auditor) -> None:
    image = user.create(disk_format="qcow2")
    assert user.stage(image, LARGE).status_code == 415
    assert user.save(image, LARGE).status_code == 415
    eventually(lambda: not witness.left())
    nothing_is_left(user, [image], witness)


@needs_converter
def test_an_image_is_converted_without_a_file_of_its_own(site: Service, witness: Auditor, tmp_path: Path) -> None:
    for folder in ("disk", "raw"):
        (tmp_path / folder).mkdir()
    content, plain = converted(tmp_path / "disk", "vmdk", "").read_bytes(), converted(tmp_path / "raw", "raw", "")
    with site.user("silver") as silver:
        image, task = imported(silver, content, disk_format="vmdk")
        assert task["status"] == "success", task["message"]
        assert silver.file(image).content.rstrip(b"\0") == plain.read_bytes().rstrip(b"\0")
        assert list((site.data / "spool").iterdir()) == []
        nothing_is_left(silver, [image], witness)


def test_operators_see_where_and_how_fast_but_no_secret(
    site: Service, user: User, bucket: Server, witness: Auditor
) -> None:
    image = saved(user, None)
    user.file(image).raise_for_status()
    with site.user("admin") as admin:
        detail = admin.http.get("/v2/info/stores/detail").raise_for_status().json()["stores"]
        numbers = admin.http.get("/metrics").raise_for_status().text
    (fast,) = [store for store in detail if store["id"] == "fast"]
    assert (fast["type"], fast["properties"]["bucket"], fast["properties"]["prefix"]) == ("s3", bucket.bucket, "fast")
    assert 'import_gateway_store_bytes_total{direction="in",store="fast"}' in numbers
    assert 'import_gateway_store_seconds_count{call="put",store="fast"}' in numbers
    assert 'import_gateway_store_bytes_total{direction="out",store="fast"}' in numbers
    nothing_is_left(user, [image], witness)
    held = [path.read_bytes() for path in site.home.rglob("*") if path.is_file() and path.name != "bucket.secret"]
    assert not any(bucket.secret_key.encode() in content for content in held)
