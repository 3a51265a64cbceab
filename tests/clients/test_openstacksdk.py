"""openstacksdk, as installed, against the running service."""

from __future__ import annotations

import gc
import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.site import NO_DOWNLOADS, NO_UPLOADS, PASSWORD, RAW, Site, relayed, settings
from tests.served import served
from tests.serving.process import LONGEST

# Warnings in here are the library's own: about its settings, and files it opens and leaves to be collected.
pytestmark = pytest.mark.filterwarnings("ignore")

Connect = Callable[..., Any]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Connections by URL and user; no user is `auth_type: none`."""
    import openstack

    opened = []

    def connect(url: str, user: str | None) -> Any:
        login = {"username": user, "password": PASSWORD} if user else {}
        cloud = openstack.connect(
            load_yaml_config=False,
            load_envvars=False,
            auth_type="http_basic" if user else "none",
            auth={**login, "endpoint": url},
            image_endpoint_override=url,
        )
        opened.append(cloud)
        return cloud

    yield connect
    for cloud in opened:
        cloud.close()
    gc.collect()  # those files, while the filter above holds


@pytest.fixture
def images(site: Site, connect: Connect) -> Any:
    return connect(site.url, "gold").image


def active(images: Any, image: Any) -> Any:
    return images.wait_for_status(image, "active", failures=["queued"], interval=0.05, wait=LONGEST)


def test_a_file_is_uploaded_and_compared_by_the_client(images: Any, disk: Path, tmp_path: Path) -> None:
    image = images.create_image("by file", filename=str(disk), validate_checksum=True, **RAW)
    found = images.get_image(image.id)
    assert (found.status, found.size, found.virtual_size) == ("active", disk.stat().st_size, disk.stat().st_size)
    assert found.checksum == hashlib.md5(disk.read_bytes()).hexdigest()
    assert (found.hash_algo, found.hash_value) == ("sha512", hashlib.sha512(disk.read_bytes()).hexdigest())
    assert found.properties["owner_specified.openstack.md5"] == found.checksum
    images.download_image(image.id, output=str(tmp_path / "back"))  # raises where the hashes differ
    assert (tmp_path / "back").read_bytes() == disk.read_bytes()


def test_a_file_is_staged_and_imported(site: Site, connect: Connect, disk: Path) -> None:
    with relayed(site.url) as relay:
        images = connect(relay.url, "gold").image
        image = images.create_image("by import", filename=str(disk), use_import=True, **RAW)
        assert active(images, image).size == disk.stat().st_size
        assert images.download_image(image).content == disk.read_bytes()
    assert [line for line in relay.requests if line.startswith("PUT")] == ["PUT /v2/images/ID/stage"]
    assert "POST /v2/images/ID/import" in relay.requests


def test_an_image_is_fetched_from_the_web(site: Site, images: Any, disk: Path) -> None:
    image = images.create_image(
        "by url", use_import=True, import_method="web-download", uri=f"{site.sources}/{disk.name}", **RAW
    )
    assert active(images, image).hash_value == hashlib.sha512(disk.read_bytes()).hexdigest()
    (task,) = images.image_tasks(image)
    assert (task["status"], task["input"]["import_req"]["method"]["name"]) == ("success", "web-download")


def test_the_steps_one_by_one(images: Any, disk: Path) -> None:
    image = images.create_image("step by step", data=None, **RAW, allow_duplicates=True)
    staged = images.stage_image(image, filename=str(disk))
    assert staged.status == "uploading"
    images.import_image(staged, method="glance-direct")
    assert active(images, image).status == "active"


def test_records_are_listed_found_changed_and_deleted(images: Any) -> None:
    made = images.create_image("record", min_disk=3, visibility="private", os_distro="debian", **RAW)
    assert images.find_image("record").id == made.id
    assert [image.id for image in images.images(name="record", status="queued")] == [made.id]
    changed = images.update_image(made.id, name="renamed-record", tags=["lts", "small"], os_version="13", min_ram=64)
    assert (changed.name, changed.os_distro, changed.os_version, changed.min_ram) == (
        "renamed-record",
        "debian",
        "13",
        64,
    )
    assert sorted(images.get_image(made.id).tags) == ["lts", "small"]
    assert [image.id for image in images.images(tag="lts")] == [made.id]
    images.delete_image(made.id)
    assert images.find_image("renamed-record") is None


def test_tags_change_as_a_whole(images: Any) -> None:
    """Given a record, the library sends its list of tags in parts (`add /tags/1`), which the Images API refuses."""
    from openstack.exceptions import BadRequestException

    image = images.create_image("tagged", tags=["a"], **RAW, allow_duplicates=True)
    with pytest.raises(BadRequestException, match="Invalid JSON pointer for this resource: '/tags/1'"):
        images.update_image(image, tags=["a", "b"])
    assert images.update_image(image.id, tags=["a", "b"]).tags == ["a", "b"]
    images.add_tag(image.id, "c")
    assert sorted(images.get_image(image.id).tags) == ["a", "b", "c"]


def test_pages_are_followed(images: Any) -> None:
    made = {images.create_image(f"page {number}", **RAW, allow_duplicates=True).id for number in range(7)}
    listed = [image.id for image in images.images(limit=2)]
    assert made <= set(listed)
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize(("user", "method"), [("stranger", "web-download"), ("silver", "glance-direct")])
def test_a_withheld_method_is_refused_by_the_client_before_any_upload(
    site: Site, connect: Connect, disk: Path, user: str, method: str
) -> None:
    from openstack.exceptions import SDKException

    with relayed(site.url) as relay:
        images = connect(relay.url, user).image
        with pytest.raises(SDKException, match="cloud does not support the image import method"):
            images.create_image(
                "no", use_import=True, import_method=method, data=io.BytesIO(b"x"), uri="http://x", **RAW
            )
    assert relay.requests.count("POST /v2/images") == 1
    assert not [line for line in relay.requests if line.startswith("PUT") or line.endswith("/import")]


def test_asked_all_the_same_the_service_says_why(site: Site, connect: Connect) -> None:
    from openstack.exceptions import ForbiddenException, raise_from_response

    images = connect(site.url, "silver").image
    image = images.create_image("uploads closed", **RAW)
    with pytest.raises(ForbiddenException, match=NO_UPLOADS):
        images.stage_image(image, data=b"x" * 1024)
    assert images.get_image(image.id).status == "queued"
    images = connect(site.url, "stranger").image
    image = images.create_image("downloads closed", **RAW)
    # The library leaves it to its callers to look at this answer.
    with pytest.raises(ForbiddenException, match=NO_DOWNLOADS):
        raise_from_response(images.import_image(image, method="web-download", uri=f"{site.sources}/disk.raw"))
    assert images.get_image(image.id).status == "queued"


def test_bytes_that_are_not_their_format_leave_no_image_behind(images: Any, disk: Path) -> None:
    from openstack.exceptions import HttpException

    with pytest.raises(HttpException, match="disk_format") as refused:
        images.create_image("not a qcow2", filename=str(disk), disk_format="qcow2", container_format="bare")
    assert refused.value.status_code == 415
    assert images.find_image("not a qcow2") is None


def test_without_identity_nobody_logs_in(tmp_path: Path, connect: Connect, disk: Path) -> None:
    file = settings(tmp_path, {})
    with served(tmp_path, "--config", str(file), "--data", str(tmp_path / "data")) as url:
        images = connect(url, None).image
        image = images.create_image("open house", filename=str(disk), use_import=True, **RAW)
        assert active(images, image).owner == "default"
        assert images.download_image(image).content == disk.read_bytes()
